# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # text that must not expand, and variables of the harness
# Tests of ci/night-nominate and ci/night-convict. Part of ci/test-night.

# A checkout of which tonight's commit is the third. The file `code` says which one it is. `commits` has them, oldest
# first, and another one that tonight's is not made of.
code_in() {
    local at
    commits=()
    git -C "$1" init --quiet
    printf '/target\n' >"$1/.gitignore"
    for at in 1 2 3; do
        echo "code $at" >"$1/code"
        one_more "$1"
    done
    git -C "$1" checkout --quiet --orphan elsewhere
    echo 'code of a stranger' >"$1/code"
    one_more "$1"
    git -C "$1" checkout --quiet --force master 2>/dev/null || git -C "$1" checkout --quiet --force main
    export GITHUB_SHA=${commits[2]}
}

one_more() {
    git -C "$1" add --all
    git -C "$1" -c user.name=t -c user.email=t@example.org commit --quiet --message "$(cat "$1/code")"
    commits+=("$(git -C "$1" rev-parse HEAD)")
}

# What the history says of tonight: BASES... of cells a, b, c.
judged() {
    local cells=(a b c) at nominated=()
    for at in "${!cells[@]}"; do
        [ "$at" -ge $# ] || nominated+=("{\"cell\": \"${cells[at]}\", \"series\": \"$at\", \"base\": \"${*:at+1:1}\"}")
    done
    STUB_JUDGEMENT=$(printf '{"faults": [], "judgement": {"night": {"run": "%s"}, "nominated": [%s]}}' \
        "$GITHUB_RUN_ID" "$(IFS=, && echo "${nominated[*]}")")
    export STUB_JUDGEMENT
}

# A branch with a night of yesterday, and tonight measured in a repository of code.
nominated_night() {
    remembered
    code_in here
    export GITHUB_RUN_ID=101 STUB_RUN=2026-11-30T02-17-00Z-nightly
    run here/ci/night-measure
    ends_with 0
    : >output && : >summary && : >program.log
}

test_what_is_nominated_runs_against_its_last_good_code_and_is_remembered() {
    nominated_night
    judged "${commits[1]}" "${commits[0]}" "${commits[1]}"
    run here/ci/night-nominate
    ends_with 0
    has output try=true
    same "$(night '.nominated.cells | join(" ")')" 'a b c'
    same "$(night '.nominated.bases | sort | join(" ")')" "$(printf '%s\n' "${commits[@]:0:2}" | sort | paste -sd ' ')"
    run here/ci/night-convict
    ends_with 0
    has program.log "older ${commits[0]}: code 1"
    has program.log "older ${commits[1]}: code 2"
    has program.log '--minutes 75'
    has program.log 'matrix ci/night-experiment.toml --reports target/night/experiment'
    same "$(night .experiment.folder)" experiment/2026-11-29T03-17-00Z-experiment
    has summary '### echo against before-1: 1 confirmed worse'
    # Nothing of it stays in the checkout.
    same "$(git -C here status --porcelain)" ''
    [ ! -e here/target/night-older ]
    same "$(git -C here worktree list | wc -l)" 1
    run here/ci/night-remember
    ends_with 0
    same "$(on_branch | grep -c -- '-101-1')" 2
    has <(git -C origin.git show "$branch:runs/2026/11/2026-11-29T03-17-00Z-101-1-experiment.jsonl") "experiment of ${commits[2]}"
    run here/ci/night-remember
    has said 'remembered already'
    run here/ci/night-publish
    ends_with 0
    has here/target/site/index.html 101-1-experiment.jsonl
}

test_a_shallow_checkout_gets_the_history_of_its_own_commit() {
    remembered
    git init --quiet --bare code.git
    mv here scripts
    mkdir here && cp -r scripts/ci here/ci
    code_in here
    git -C here push --quiet "$PWD/code.git" HEAD:refs/heads/main
    rm -rf here
    git clone --quiet --depth 1 --branch main "file://$PWD/code.git" here
    export NIGHT_CODE=file://$PWD/code.git GITHUB_RUN_ID=101 STUB_RUN=2026-11-30T02-17-00Z-nightly
    run here/ci/night-measure
    judged "${commits[0]}"
    run here/ci/night-nominate
    ends_with 0
    has output try=true
    run here/ci/night-convict
    ends_with 0
    has program.log "older ${commits[0]}: code 1"
}

test_code_that_is_no_part_of_tonights_is_never_run() {
    nominated_night
    for base in "${commits[3]}" "$GITHUB_SHA" 0123456789012345678901234567890123456789 --upload-pack=x '$(touch pwned)'; do
        judged "$base"
        : >output
        run here/ci/night-nominate
        ends_with 0
        has output try=false
        has said '::warning title=no older code::'
        run here/ci/night-convict
        ends_with 0
        has said 'nothing is nominated'
    done
    lacks program.log 'history experiment'
    [ ! -e pwned ] && [ ! -e here/pwned ]
}

test_nothing_is_put_to_the_test_where_nothing_is_nominated() {
    nominated_night
    run here/ci/night-nominate
    ends_with 0
    has output try=false
    has said 'the judgement is not of tonight'
    judged
    run here/ci/night-nominate
    has said 'no cell is nominated'
    STUB_JUDGEMENT=${STUB_JUDGEMENT/101/100}
    run here/ci/night-nominate
    has said 'the judgement is not of tonight'
    run here/ci/night-convict
    ends_with 0
    lacks program.log 'history experiment'
}

test_a_first_night_and_a_history_that_cannot_be_read_convict_nobody() {
    measured
    run here/ci/night-nominate
    ends_with 0
    has output try=false
    has said 'there is no history yet'
    export NIGHT_REMOTE=$PWD/nowhere.git
    run here/ci/night-nominate
    ends_with 0
    has said '::warning title=no history::'
    rm -r here/target/night
    run here/ci/night-nominate
    ends_with 0
    has said 'no cell was measured'
}

test_an_experiment_that_fails_leaves_the_night_as_it_was() {
    nominated_night
    judged "${commits[1]}"
    run here/ci/night-nominate
    export STUB_NOTHING=1
    run here/ci/night-convict
    ends_with 0
    same "$(night .experiment)" null
    export STUB_EXPERIMENT_EXIT=2
    run here/ci/night-convict
    ends_with 0
    has said '::warning title=no experiment::its matrix could not be made: exit code 2'
    unset STUB_NOTHING STUB_EXPERIMENT_EXIT
    export STUB_NO_EXPERIMENT=1
    run here/ci/night-convict
    ends_with 0
    has said '::warning title=no experiment::it ended with exit code 2'
    unset STUB_NO_EXPERIMENT
    export STUB_NO_CONVICT=1
    run here/ci/night-convict
    ends_with 0
    has said '::warning title=no experiment::it cannot be judged'
    run here/ci/night-remember
    ends_with 0
    has said '::warning title=no experiment::'
    same "$(on_branch | grep -- -101-)" runs/2026/11/2026-11-30T02-17-00Z-101-1.jsonl
}

test_the_limit_ends_an_experiment_and_what_it_measured_is_judged() {
    nominated_night
    judged "${commits[1]}"
    run here/ci/night-nominate
    cat >slow <<'END'
#!/usr/bin/env bash
"$STAND_IN" "$@"
[ "$1" != matrix ] || exec perl -e '$SIG{INT} = sub { exit 130 }; sleep 60'
END
    chmod +x slow
    export STAND_IN=$WSCEILING WSCEILING=$PWD/slow NIGHT_EXPERIMENT_MINUTES=0.03
    run here/ci/night-convict
    ends_with 0
    same "$(night .experiment.exit)" 130
    has summary '1 confirmed worse'
}

test_the_verdict_of_the_night_has_what_was_put_to_the_test() {
    nominated_night
    export MEASURE=success SELFTEST=skipped REMEMBER=success PUBLISH=success DEPLOY=skipped
    run here/ci/night-verdict
    lacks summary '| experiment |'
    judged "${commits[1]}"
    run here/ci/night-nominate
    run here/ci/night-verdict
    ends_with 0
    has summary '| experiment | – | 1 nominated, none put to the test'
    run here/ci/night-convict
    run here/ci/night-verdict
    ends_with 0
    has summary '| experiment | ok | 1 nominated, put to the test |'
    CONVICT=failure run here/ci/night-verdict
    ends_with 1
    has said '::error title=night::convict: failed'
}

test_a_hostile_night_has_no_experiment_outside_of_itself() {
    measured
    mkdir -p outside && touch outside/run.json
    for folder in ../../../outside experiment/../../../../outside experiment/..; do
        mkdir -p here/target/night/experiment
        tamper ".experiment = {exit: 0, folder: \"$folder\"}"
        run here/ci/night-remember
        lacks program.log 'history convict'
    done
}

# What is known of the noise: FLOOR.
noise_of_nights() {
    STUB_JUDGEMENT=$(printf '{"judgement": {"noise": [{"floor": %s}], "suspects": []}}' "$1")
    export STUB_JUDGEMENT
}

test_runs_of_one_program_against_itself_are_counted_and_go_on_where_they_ended() {
    noise_of_nights 0.02
    run here/ci/aa 2 aa
    ends_with 0
    has said 'of 2 runs of one program against itself, with 6 numbers: 0 convicted as worse'
    has said 'of 2 nights that could be judged, 0 have a suspect'
    run here/ci/aa 3 aa
    ends_with 0
    same "$(grep -c '^matrix' program.log)" 3
    has said 'of 3 runs'
    export STUB_WORSE=1
    run here/ci/aa 6 aa
    ends_with 1
    has said '3 convicted as worse'
    noise_of_nights null
    run here/ci/aa --count aa
    has said 'of 0 nights that could be judged'
    run here/ci/aa --count nowhere
    ends_with 2
    same "$(find here/ci -name 'aa-*.toml')" ''
}
