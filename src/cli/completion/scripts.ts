// What `kt completion SHELL` prints. The scripts know nothing of kt's grammar: they hand the line to `kt __complete` and offer what it says.
// Called by commands/completion.ts.

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

// Bash 3.2 (macOS) and newer. Bash cuts words at : and =, so the line is cut here again, and what it keeps is taken off the answers.
const BASH = String.raw`# bash completion of kt:  source <(kt completion bash)
_kt_completion() {
  local line="\${COMP_LINE:0:COMP_POINT}" current kept answer
  local -a words
  read -r -a words <<< "$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  current="\${words[\${#words[@]}-1]}"
  kept=""
  case "$COMP_WORDBREAKS" in *:*) case "$current" in *:*) kept="\${current%"\${current##*:}"}" ;; esac ;; esac
  case "$COMP_WORDBREAKS" in *=*) case "$current" in *=*) [ -n "$kept" ] || kept="\${current%"\${current##*=}"}" ;; esac ;; esac
  COMPREPLY=()
  while IFS= read -r answer; do
    COMPREPLY+=("\${answer#"$kept"}")
  done < <("\${words[0]}" __complete $((\${#words[@]} - 1)) "\${words[@]:1}" 2> /dev/null < /dev/null)
}
complete -o default -F _kt_completion kt`;

const ZSH = String.raw`#compdef kt
# zsh completion of kt:  source <(kt completion zsh), behind compinit; or as the file _kt in a folder of $fpath
_kt() {
  local -a found
  found=("\${(@f)$("\${words[1]}" __complete $((CURRENT - 1)) "\${(@)words[2,CURRENT]}" 2> /dev/null < /dev/null)}")
  found=("\${(@)found:#}")
  if (( $#found )); then compadd -- "\${found[@]}"; else _files; fi
}
if [ "$funcstack[1]" = _kt ]; then _kt "$@"; else compdef _kt kt; fi`;

const FISH = String.raw`# fish completion of kt:  kt completion fish | source
function __kt_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete (count $words) $words[2..-1] "$current" 2> /dev/null < /dev/null
end
complete -c kt -f -n 'not contains -- -- (commandline -opc)' -a '(__kt_complete)'
complete -c kt -F -n 'contains -- -- (commandline -opc)'`;

const POWERSHELL = String.raw`# PowerShell completion of kt:  kt completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName kt -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object { $_.Extent.Text })
  $index = $words.Count - 1
  if ($wordToComplete -eq '') { $index = $words.Count }
  $rest = @($words | Select-Object -Skip 1)
  & $words[0] __complete $index @rest 2> $null | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}`;

const TEXTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH, powershell: POWERSHELL };

export const completionScript = (shell: Shell): string => TEXTS[shell].replaceAll('\\${', '${');
