# Completion of promptctl for bash: put it into /usr/share/bash-completion/completions/promptctl, or source it.
#
# Commands and options are taken from what the program says itself, so that this file knows none of them.

_promptctl_commands() {
	promptctl --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\( [a-z][a-z]*\)\{0,1\}\)  .*/\1/p'
}

# The command in the words before the cursor: one word, or two where the first opens a family.
_promptctl_command() {
	local commands first=${COMP_WORDS[1]} second=${COMP_WORDS[2]}
	commands=$(_promptctl_commands)
	if ((COMP_CWORD > 2)) && grep -qx -- "$first $second" <<<"$commands"; then
		echo "$first $second"
	elif ((COMP_CWORD > 1)) && grep -qx -- "$first" <<<"$commands"; then
		echo "$first"
	fi
}

_promptctl() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command words
	COMPREPLY=()
	case $previous in
	--config) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2>/dev/null; return ;;
	--sql) mapfile -t COMPREPLY < <(compgen -d -- "$current"); compopt -o filenames 2>/dev/null; return ;;
	--tier) mapfile -t COMPREPLY < <(compgen -W 'starter professional scale enterprise' -- "$current"); return ;;
	--format) mapfile -t COMPREPLY < <(compgen -W 'json csv text' -- "$current"); return ;;
	--month) mapfile -t COMPREPLY < <(compgen -W "$(date -u +%Y-%m) $(date -u -d "$(date -u +%Y-%m-01) - 1 month" +%Y-%m 2>/dev/null)" -- "$current"); return ;;
	--database | --worker | --organization | --id | --name | --from | --to | --supplier | --reason | --*-tokens | --input | --cached | --output | --context) return ;;
	esac
	if ((COMP_CWORD == 1)); then
		words=$(_promptctl_commands | cut -d' ' -f1 | sort -u)
		mapfile -t COMPREPLY < <(compgen -W "$words --help --version --database" -- "$current")
		return
	fi
	command=$(_promptctl_command)
	if [[ -z $command ]]; then
		words=$(_promptctl_commands | sed -n "s/^${COMP_WORDS[1]} //p")
		mapfile -t COMPREPLY < <(compgen -W "$words --help" -- "$current")
		return
	fi
	if [[ $current == -* ]]; then
		# shellcheck disable=SC2086 # a command of two words is two arguments
		words=$(promptctl $command --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
		return
	fi
	case $command in
	lint | render | call)
		mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.prompt' -- "$current")
		compopt -o filenames 2>/dev/null
		;;
	esac
}

complete -F _promptctl promptctl
