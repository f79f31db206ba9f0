#!/usr/bin/env bash
# kubectl starts this to complete the words behind the plugin's name.
source <(NAME completions bash)
words=(NAME "$@")
COMP_WORDS=("${words[@]}")
COMP_CWORD=$#
[[ $(complete -p NAME) =~ -F\ ([^ ]+) ]] || exit 1
"${BASH_REMATCH[1]}" NAME "${words[COMP_CWORD]}" "${words[COMP_CWORD - 1]}" 2>/dev/null
if ((${#COMPREPLY[@]})); then
    printf '%s\n' "${COMPREPLY[@]}"
    echo :4
else
    echo :0
fi
