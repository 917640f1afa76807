# shellcheck shell=bash
# What scripts of workflows share: the program, and how to speak to GitHub. Source it from the root of the repository.
#
# Every script runs on any machine too. Without GITHUB_ACTIONS annotations go to standard error, and outputs and
# summaries go nowhere unless GITHUB_OUTPUT and GITHUB_STEP_SUMMARY name files.

# The program, as words: tests and installed programs can stand in for cargo.
read -ra wsceiling_command <<<"${WSCEILING:-cargo run --quiet --}"

wsceiling() {
    "${wsceiling_command[@]}" "$@"
}

# Bytes of a step's summary that GitHub takes; it drops a larger one whole.
summary_bytes=1048576

# Characters that end or split a workflow command, as GitHub's runner escapes them.
escaped() {
    local text=$1
    text=${text//'%'/%25}
    text=${text//$'\r'/%0D}
    printf '%s' "${text//$'\n'/%0A}"
}

# Shows a message beside the run: error|warning|notice TITLE TEXT. A text can be anything, also what a stranger wrote.
annotate() {
    local kind=$1 title=$2 text=$3
    if [ "${GITHUB_ACTIONS:-}" != true ]; then
        printf '%s: %s: %s\n' "$kind" "$title" "$text" >&2
        return
    fi
    title=$(escaped "$title")
    title=${title//:/%3A}
    printf '::%s title=%s::%s\n' "$kind" "${title//,/%2C}" "$(escaped "$text")"
}

# Sets an output of the step: NAME VALUE. A line break would start another output.
output() {
    local value=${2//[$'\r\n']/ }
    [ -z "${GITHUB_OUTPUT:-}" ] || printf '%s=%s\n' "$1" "$value" >>"$GITHUB_OUTPUT"
}

# Adds standard input to the summary of the job, as much of it as GitHub takes.
summarise() {
    local text room used=0
    text=$(cat)
    if [ -z "${GITHUB_STEP_SUMMARY:-}" ]; then
        printf '%s\n' "$text"
        return
    fi
    [ ! -f "$GITHUB_STEP_SUMMARY" ] || used=$(wc -c <"$GITHUB_STEP_SUMMARY")
    room=$((summary_bytes - used - 200))
    if [ "$(printf '%s\n' "$text" | wc -c)" -le "$room" ]; then
        printf '%s\n' "$text" >>"$GITHUB_STEP_SUMMARY"
    elif [ "$room" -gt 0 ]; then
        # Whole lines only; a table that is cut in a row would swallow what follows.
        printf '%s\n' "$text" | head -c "$room" | sed '$d' >>"$GITHUB_STEP_SUMMARY"
        printf '\n**Cut:** the summary is longer than the 1 MiB that GitHub shows. The artifact has all of it.\n' \
            >>"$GITHUB_STEP_SUMMARY"
    fi
}
