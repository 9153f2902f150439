#!/usr/bin/env bash
# Builds kt-jvm.jar, the JVM agent. With JDK 17 two builds give the same bytes: fixed dates, fixed order, no compression (which also
# makes it load faster). The jar is committed, because nobody who installs kt should need a JDK; test/e2e/shim-jvm.test.ts builds it
# again and compares. Usage: build.sh [OUTPUT.jar]; JAVA_HOME chooses the JDK.
set -euo pipefail
cd "$(dirname "$0")"
output=$(realpath -m "${1:-kt-jvm.jar}")
bin=${JAVA_HOME:+$JAVA_HOME/bin/}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/hook" "$work/jar/kt"
# The shim itself must not be loaded by its own compiler.
unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS

# Java 8 class files against the JDK's own classes: --release 8 refuses the package java.net.
"${bin}javac" -Xlint:-options -nowarn -encoding UTF-8 -source 8 -target 8 -g:none -d "$work/hook" src/hook/java/net/*.java
"${bin}javac" -Xlint:-options -nowarn -encoding UTF-8 --release 9 -g:none -d "$work/jar" src/agent9/kt/*.java
"${bin}javac" -Xlint:-options -nowarn -encoding UTF-8 -source 8 -target 8 -g:none -cp "$work/hook:$work/jar" -d "$work/jar" src/agent/kt/*.java
# Data for the agent, not classes of its jar: each with its length in front. KtHook, whose presence says that all are there, is the last.
for name in KtCluster KtBroker KtHook; do
  class=$work/hook/java/net/$name.class
  printf "$(printf '%08x' "$(stat -c %s "$class")" | sed 's/../\\x&/g')"
  cat "$class"
done > "$work/jar/kt/hook.bin"
mkdir "$work/jar/META-INF"
printf 'Manifest-Version: 1.0\nPremain-Class: kt.Agent\nCan-Retransform-Classes: true\n' > "$work/jar/META-INF/MANIFEST.MF"
mapfile -t files < <(cd "$work/jar" && find . -type f | LC_ALL=C sort | sed 's|^\./||')
rm -f "$output"
(cd "$work/jar" && "${bin}jar" --create --no-compress --no-manifest --file "$output" --date 1980-01-01T00:00:02Z "${files[@]}")
