# shellcheck shell=bash
# What ci/test-night and ci/test-action share: sandboxes, assertions, counting. Source it from the root of the
# repository.

export LC_ALL=C.UTF-8
repository=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# Nothing of the machine's own workflow may leak in, and no program of GitHub or of root may be called.
unset "${!GITHUB_@}" "${!STUB_@}" "${!NIGHT_@}" GH_TOKEN RUNNER_TEMP ImageOS ImageVersion
mkdir "$work/bin"
cp ci/testing/gh "$work/bin/"
printf '#!/bin/sh\nexit 1\n' >"$work/bin/sudo"
chmod +x "$work/bin/sudo"
export PATH=$work/bin:$PATH WSCEILING=$repository/ci/testing/wsceiling GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null

# Runs a test in a subshell that ends at its first failure, and shows what it printed if it failed: NAME.
try() {
    local status name=$1
    box=$work/${name// /-}
    mkdir -p "$box"
    (
        set -e
        cd "$box"
        prepare
        "$name"
    ) >"$box.log" 2>&1 </dev/null
    status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        rm -rf "$box"
    else
        failed=$((failed + 1))
        printf -- '--- %s failed:\n' "$name"
        tail -n 40 "$box.log"
    fi
}

# Runs every test of these files, in order: FILES... ONLY is a pattern of the names to run.
try_all() {
    local name
    while read -r name; do
        try "$name"
    done < <(sed -n 's/^\(test_[a-z0-9_]*\)() {$/\1/p' "$@" | grep -E "${ONLY:-.}")
    printf '%s: %d passed, %d failed\n' "$(basename "$0")" "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# Runs a command and keeps its exit code in `code`, and what it says in the file `said`.
run() {
    code=0
    "$@" >said 2>&1 || code=$?
    cat said
}

ends_with() {
    [ "$code" -eq "$1" ] || { echo "exit code $code, not $1"; return 1; }
}

has() {
    grep -qF -- "$2" "$1" || { echo "$1 lacks: $2" && cat "$1"; return 1; }
}

lacks() {
    ! grep -qF -- "$2" "$1" || { echo "$1 has: $2" && cat "$1"; return 1; }
}

same() {
    [ "$1" = "$2" ] || { printf 'not the same:\n%s\n%s\n' "$1" "$2"; return 1; }
}

# A checkout with the scripts, in which they leave their files.
checkout() {
    mkdir -p "$1"
    cp -r "$repository/ci" "$1/ci"
}

# The files that GitHub gives a step, and its variables, in this folder.
as_workflow() {
    export GITHUB_ACTIONS=true GITHUB_REPOSITORY=owner/project GITHUB_SERVER_URL=https://github.com
    export GITHUB_REF=refs/heads/main GITHUB_REF_NAME=main GITHUB_EVENT_NAME=schedule GITHUB_RUN_ATTEMPT=1
    export GITHUB_SHA=0123456789012345678901234567890123456789 GITHUB_RUN_ID=100 ImageOS=ubuntu24 ImageVersion=20261101.1.0
    export GITHUB_OUTPUT=$PWD/output GITHUB_STEP_SUMMARY=$PWD/summary GITHUB_EVENT_PATH=$PWD/event.json
    export GH_TOKEN=token GH_LOG=$PWD/gh.log GH_ANSWERS=$PWD/answers STUB_LOG=$PWD/program.log
    mkdir -p answers
    : >output && : >summary && : >gh.log && : >program.log
    echo '{"repository": {"fork": false, "default_branch": "main"}}' >event.json
}
