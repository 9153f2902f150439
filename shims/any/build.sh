#!/usr/bin/env bash
# Builds kt-any, the supervisor of `kt run --any`: static, so that it runs on every Linux of this architecture. Needs a C compiler; a build of
# kt without one has no --any. Usage: build.sh [OUTPUT]; CC chooses the compiler (musl-gcc gives a smaller file).
set -euo pipefail
cd "$(dirname "$0")"
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -pthread -o "${1:-kt-any}" kt-any.c broker.c
