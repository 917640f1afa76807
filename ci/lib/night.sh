# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # variables of jq, and those of the scripts that share this
# What the scripts of the night share: where its parts lie, what it knows of itself, and the branch that remembers.
# Source ci/lib/workflow.sh first.
#
# A night is a folder:
#   night.json           what ran where, and how it ended; written first, and anew after each part
#   reports/<run>/       the run folder of ci/nightly.toml
#   selftest/<folder>/   what the selftest of that night wrote
#   experiment/<run>/    the run folder of tonight's code against older code, if cells were nominated
#   experiment.json      what it compares with what

shopt -s extglob

# The branch with a file for each night. It shares no commit with the code.
history_branch=wsceiling-history

# Longest time of each part, in minutes. The time limits of .github/workflows/nightly.yml leave room for building.
matrix_minutes=${NIGHT_MINUTES:-130}
quick_minutes=15
experiment_minutes=${NIGHT_EXPERIMENT_MINUTES:-75}
whole_minutes=90

# The history with tonight, on the machine that measured.
night_history=target/night-measured-history

# How often a push is tried.
push_tries=5

# Most earlier nights whose artifacts are looked at, for nights that no push saved and for the full reports of the site.
earlier_nights=${NIGHT_EARLIER:-14}

# Runs a command as root if that needs no password: only root can make the cgroups that limit bare cells on a hosted
# runner. Environment and PATH stay, because the program builds its targets with cargo.
privileged() {
    if may_be_root; then
        sudo --non-interactive --preserve-env env PATH="$PATH" HOME="$HOME" "$@"
    else
        "$@"
    fi
}

may_be_root() {
    [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null && sudo --non-interactive --preserve-env true 2>/dev/null
}

# Gives back what root wrote, so that later steps can cache and upload it: FOLDERS...
reclaim() {
    local folder
    may_be_root || return 0
    for folder in "$@" "${CARGO_HOME:-$HOME/.cargo}"; do
        [ ! -d "$folder" ] || sudo --non-interactive chown -R "$(id -u):$(id -g)" "$folder"
    done
}

# Builds the program and the targets, so that root has nothing left to build. What does not build fails where it is used.
build() {
    [ -n "${WSCEILING:-}" ] || cargo build --workspace --bins || annotate error 'build' 'cargo build failed'
    cargo build --manifest-path targets/control/Cargo.toml || annotate error 'build' 'the control does not build'
}

# Runs a part with a time limit: MINUTES COMMAND... SIGINT is what Ctrl-C sends: the program ends what it measures and
# renders what it has.
within() {
    local minutes=$1
    shift
    privileged timeout --foreground --preserve-status --signal=INT --kill-after=2m "${minutes}m" "$@"
}

# Runs a selftest with the numbers of this date's seed: NIGHT MINUTES OPTIONS... A red one is an outcome like a green
# one; it fails only without an outcome.
run_selftest() {
    local night=$1 minutes=$2 seed status=0 folder
    shift 2
    seed=$(date -u +%Y%m%d)
    within "$minutes" "${wsceiling_command[@]}" selftest "$@" --seed "$seed" --reports "$night/selftest" || status=$?
    reclaim "$night" target
    folder=$(compgen -G "$night/selftest/*/selftest.json") || folder=''
    folder=${folder%%$'\n'*}
    folder=${folder%/selftest.json}
    note "$night" --argjson exit "$status" --argjson seed "$seed" --arg folder "${folder#"$night/"}" \
        '.selftest = {exit: $exit, seed: $seed, folder: (if $folder == "" then null else $folder end)}'
    if [ -z "$folder" ]; then
        annotate error 'no selftest' "the selftest ended with exit code $status and without an outcome"
        return 1
    fi
    [ ! -f "$folder/selftest.md" ] || summarise <"$folder/selftest.md"
}

# Sets values in a night's night.json: FOLDER JQ-ARGUMENTS... FILTER.
note() {
    local file=$1/night.json
    shift
    [ -f "$file" ] || echo '{}' >"$file"
    jq "$@" "$file" >"$file.new"
    mv "$file.new" "$file"
}

# What is known of a night, of its night.json: `run_id`, `matrix.exit`, ... A value that is not there is empty.
declare -A fact

# Reads what is known of a night: FOLDER. It may come from an artifact, so `sound` is only set if the night can be used,
# and `run`, `tested` and `tried`,
# the folders of its parts, only if they lie in the night.
know() {
    local name value
    fact=()
    if [ -f "$1/night.json" ]; then
        # Line breaks and tabs of a value become \n and \t.
        while IFS=$'\t' read -r name value; do
            fact[${name:-_}]=$value
        done < <(jq -r 'paths(scalars) as $path | [($path | map(tostring) | join(".")), getpath($path)] | @tsv' \
            "$1/night.json" 2>/dev/null)
    fi
    if [[ ${fact[schema]:-} == 1 && ${fact[run_id]:-} =~ ^[0-9]{1,20}$ && ${fact[run_attempt]:-} =~ ^[0-9]{1,5}$ &&
        ${fact[sha]:-} =~ ^[0-9a-f]{40}$ ]]; then
        fact[sound]=yes
    else
        unset 'fact[sound]'
    fi
    fact[run]=$(part_of_night "$1" "${fact[matrix.folder]:-}")
    fact[tested]=$(part_of_night "$1" "${fact[selftest.folder]:-}")
    fact[tried]=$(part_of_night "$1" "${fact[experiment.folder]:-}")
}

# Prints the folder of a part, if it lies in the night: NIGHT PATH.
part_of_night() {
    [[ $2 =~ ^(reports|selftest|experiment)/[A-Za-z0-9_][A-Za-z0-9._-]*$ && -d $1/$2 && ! -L $1/$2 ]] || return 0
    printf '%s\n' "$1/$2"
}

# Starts a night: FOLDER. These facts go with it, because the jobs that read them later run on other machines and, when
# they are run again, have another number of attempt.
begin_night() {
    mkdir -p "$1"
    note "$1" \
        --arg run_id "${GITHUB_RUN_ID:-$(date -u +%Y%m%d%H%M%S)}" --arg attempt "${GITHUB_RUN_ATTEMPT:-1}" \
        --arg repository "${GITHUB_REPOSITORY:-}" --arg server "${GITHUB_SERVER_URL:-}" \
        --arg sha "${GITHUB_SHA:-$(git rev-parse HEAD)}" --arg ref "${GITHUB_REF:-}" --arg event "${GITHUB_EVENT_NAME:-}" \
        --arg os "${ImageOS:-}" --arg image "${ImageVersion:-}" --arg started "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
        '{schema: 1, run_id: $run_id, run_attempt: $attempt, repository: $repository, server: $server, sha: $sha,
          ref: $ref, event: $event, image: {os: $os, version: $image}, started: $started, matrix: null, selftest: null}'
}

# Adds a night to a folder of histories, with what it put to the test: NIGHT HISTORY [WHOLE-SELFTEST].
add_night() {
    local selftests=()
    know "$1"
    [ -n "${fact[sound]:-}" ] || { annotate error 'no night' "$1/night.json is missing or is not one"; return 1; }
    [ -n "${fact[run]}" ] || { annotate error 'no run folder' "$1 has no run folder"; return 1; }
    [ -z "${fact[tested]}" ] || selftests+=(--selftest "${fact[tested]}")
    [ -z "${3:-}" ] || selftests+=(--selftest "$3")
    as_measured history add "${fact[run]}" "$2" "${selftests[@]}" || return 1
    [ -n "${fact[tried]}" ] || return 0
    # A night without its experiment is still a night.
    { wsceiling validate "${fact[tried]}" && as_measured history convict "${fact[tried]}" "$1/experiment.json" "$2"; } >/dev/null ||
        annotate warning 'no experiment' "what run ${fact[run_id]} put to the test is not in the history"
}

# Runs the program with the facts of the run that measured, of the night that is known: ARGUMENTS...
as_measured() {
    env GITHUB_RUN_ID="${fact[run_id]}" GITHUB_RUN_ATTEMPT="${fact[run_attempt]}" GITHUB_SHA="${fact[sha]}" \
        GITHUB_REF="${fact[ref]:-}" GITHUB_SERVER_URL="${fact[server]:-}" GITHUB_REPOSITORY="${fact[repository]:-}" \
        ImageOS="${fact[image.os]:-}" ImageVersion="${fact[image.version]:-}" \
        "${wsceiling_command[@]}" "$@"
}

# Whether a night is in a folder of histories: ID-OF-RUN HISTORY. Files of experiments have longer names.
is_remembered() {
    compgen -G "$2/runs/*/*/*-$1-+([0-9]).jsonl" >/dev/null
}

# Where the branch is.
history_remote() {
    printf '%s\n' "${NIGHT_REMOTE:-${GITHUB_SERVER_URL:-https://github.com}/${GITHUB_REPOSITORY:?}.git}"
}

# Runs git on a history. The token reaches it through gh, so it is in no address, no argument and no file. Hooks and
# signatures of the machine have no part in it.
history_git() {
    GIT_TERMINAL_PROMPT=0 git -c core.hooksPath=/dev/null -c commit.gpgSign=false -c credential.helper= \
        -c credential.helper='!gh auth git-credential' -c user.name='github-actions[bot]' \
        -c user.email='41898282+github-actions[bot]@users.noreply.github.com' "$@"
}

# Brings the branch as it is now into DIR, whatever was there. Exit code 3: there is no branch yet, and DIR is ready for
# its first commit. Any other: it could not be asked.
sync_history() {
    local dir=$1 remote ref=refs/heads/$history_branch listed
    remote=$(history_remote)
    listed=$(history_git ls-remote --heads "$remote") || return 1
    [ -d "$dir/.git" ] || git init --quiet "$dir" || return 1
    git -C "$dir" symbolic-ref HEAD "$ref" || return 1
    # Of branches whose names end alike, ls-remote by pattern would list all.
    if ! awk -v ref="$ref" '$2 == ref { found = 1 } END { exit !found }' <<<"$listed"; then
        git -C "$dir" update-ref -d "$ref" && git -C "$dir" read-tree --empty && git -C "$dir" clean --quiet -ffdx || return 1
        return 3
    fi
    history_git -C "$dir" fetch --quiet --depth 1 "$remote" "$ref" || return 1
    git -C "$dir" reset --quiet --hard FETCH_HEAD && git -C "$dir" clean --quiet -ffdx || return 1
}

# Whether this run may change the repository and its pages: not a fork, the default branch, with a token. If not,
# `why_not` says why.
may_write() {
    local fork='' branch=''
    why_not=''
    # A place that was named on purpose: a machine of a developer, a test.
    [ -z "${NIGHT_REMOTE:-}" ] || [ "${GITHUB_ACTIONS:-}" = true ] || return 0
    local of='"\(.fork) \(.default_branch)"'
    read -r fork branch < <(jq -r ".repository | $of" "${GITHUB_EVENT_PATH:-/dev/null}" 2>/dev/null) || true
    if [[ ! $fork =~ ^(true|false)$ || ${branch:-null} = null ]]; then
        read -r fork branch < <(gh api "repos/${GITHUB_REPOSITORY:-}" 2>/dev/null | jq -r "$of") || true
    fi
    if [ "$fork" = true ]; then
        why_not='this repository is a fork'
    elif [ "$fork" != false ]; then
        why_not='it cannot be told whether this repository is a fork'
    elif [ "${GITHUB_REF:-}" != "refs/heads/$branch" ]; then
        why_not="${GITHUB_REF:-no branch} is not the default branch"
    elif [ -z "${GH_TOKEN:-}" ]; then
        why_not='the step has no token'
    else
        return 0
    fi
    return 1
}

# Prints the ids of the last finished nights, newest first. A pull request cannot add one: what it starts is another
# event, and a run of a fork has another head.
finished_nights() {
    local workflow=${GITHUB_WORKFLOW_REF:-nightly.yml}
    [ -n "${GITHUB_REPOSITORY:-}" ] && [ -n "${GH_TOKEN:-}" ] || return 0
    workflow=${workflow%%@*}
    gh api --method GET "repos/$GITHUB_REPOSITORY/actions/workflows/${workflow##*/}/runs" \
        --raw-field status=completed --raw-field branch="${GITHUB_REF_NAME:-main}" --raw-field per_page=50 |
        jq -r --arg here "$GITHUB_REPOSITORY" --argjson most "$earlier_nights" '[.workflow_runs[]
            | select(.event == "schedule" or .event == "workflow_dispatch")
            | select(.head_repository.full_name == $here) | .id | tostring | select(test("^[0-9]+$"))][:$most][]'
}

# Downloads the artifact of a night into FOLDER: ID FOLDER. One that has expired is not there.
download_night() {
    rm -rf "$2"
    timeout 300 gh run download "$1" --repo "$GITHUB_REPOSITORY" --name night --dir "$2" >/dev/null 2>&1 || return 1
    know "$2"
    [ -n "${fact[sound]:-}" ] && [ "${fact[run_id]}" = "$1" ]
}
