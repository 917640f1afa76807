# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # text that must not expand, and variables of the harness
# Tests of ci/night-remember. Part of ci/test-night.

test_the_first_night_makes_the_branch() {
    measured
    run here/ci/night-remember
    ends_with 0
    has said 'first night'
    has output pushed=true
    same "$(on_branch)" runs/2026/11/2026-11-29T02-17-00Z-100-1.jsonl
    same "$(git -C origin.git rev-list --max-parents=0 --count "$branch")" 1
    has <(git -C origin.git show "$branch:README.md") 'one file for each'
}

test_the_next_night_is_added_and_none_changes() {
    remembered
    first=$(git -C origin.git rev-parse "$branch:$(on_branch)")
    export GITHUB_RUN_ID=101 STUB_RUN=2026-11-30T02-17-00Z-nightly
    measured
    run here/ci/night-remember
    ends_with 0
    same "$(on_branch | wc -l)" 2
    same "$(git -C origin.git rev-parse "$branch:runs/2026/11/2026-11-29T02-17-00Z-100-1.jsonl")" "$first"
}

# Two runners at once: both read the branch before either pushes.
both_at_once() {
    checkout there
    export STUB_BARRIER=$PWD/barrier
    mkdir barrier
    (GITHUB_RUN_ID=201 GITHUB_OUTPUT=$PWD/output.a here/ci/night-measure && GITHUB_RUN_ID=201 here/ci/night-remember) >a.log 2>&1 &
    (GITHUB_RUN_ID=202 GITHUB_OUTPUT=$PWD/output.b there/ci/night-measure && GITHUB_RUN_ID=202 there/ci/night-remember) >b.log 2>&1 &
    wait -n
    wait
    cat a.log b.log
    has <(on_branch) -201-1.jsonl
    has <(on_branch) -202-1.jsonl
    has <(cat a.log b.log) 'at try 2'
}

test_two_first_nights_at_once_both_stay() {
    both_at_once
    same "$(commits)" 2
}

test_two_nights_at_once_both_stay() {
    remembered
    both_at_once
    same "$(on_branch | wc -l)" 3
}

test_a_push_that_is_refused_five_times_is_an_error_and_the_site_is_made_all_the_same() {
    measured
    refuse 'protected branch'
    run here/ci/night-remember
    ends_with 1
    same "$(wc -l <pushes)" 5
    has said '::error title=night not remembered::The push to wsceiling-history was refused 5 times.'
    has output pushed=false
    [ -f here/target/night/reports/2026-11-29T02-17-00Z-nightly/run.json ]
    : >output
    echo '{"build_type": "workflow"}' >answers/pages.json
    run here/ci/night-publish
    ends_with 0
    has output made=true
    has output deploy=true
    has here/target/site/index.html 2026-11-29T02-17-00Z-100-1.jsonl
    has here/target/site/index.html 'report 2026-11-29T02-17-00Z-nightly'
}

test_a_token_that_may_not_push_is_said_at_once() {
    measured
    refuse 'fatal: unable to access: The requested URL returned error: 403'
    run here/ci/night-remember
    ends_with 1
    same "$(wc -l <pushes)" 1
    has said 'contents: write'
}

test_a_branch_that_cannot_be_read_is_an_error() {
    measured
    export NIGHT_REMOTE=$PWD/nowhere.git
    run here/ci/night-remember
    ends_with 1
    has said 'could not be read'
    run here/ci/night-publish
    ends_with 1
    has said 'the site of the last night stays'
}

test_the_same_night_twice_is_kept_once() {
    remembered
    run here/ci/night-remember
    ends_with 0
    has said 'remembered already'
    same "$(commits)" 1
}

test_the_same_run_with_other_bytes_is_refused() {
    remembered
    echo '{"instances": []}' >here/target/night/reports/2026-11-29T02-17-00Z-nightly/trials.jsonl
    run here/ci/night-remember
    ends_with 1
    has said 'other bytes'
    has output pushed=false
    same "$(commits)" 1
}

test_a_file_of_an_earlier_night_never_changes() {
    remembered
    export GITHUB_RUN_ID=101 STUB_TAMPER=1
    measured
    run here/ci/night-remember
    ends_with 1
    has said 'would change: nothing is pushed'
    same "$(commits)" 1
}

test_an_invalid_record_is_not_remembered() {
    measured
    touch here/target/night/reports/2026-11-29T02-17-00Z-nightly/broken
    run here/ci/night-remember
    ends_with 1
    has said '::error title=invalid record::'
    same "$(on_branch)" ''
}

test_a_night_without_a_measurement_is_said() {
    run here/ci/night-remember
    ends_with 0
    has said '::warning title=nothing to remember::'
    has output pushed=false
}

test_the_facts_are_those_of_the_run_that_measured() {
    measured
    export GITHUB_RUN_ATTEMPT=2 ImageVersion=another
    run here/ci/night-remember
    ends_with 0
    same "$(on_branch)" runs/2026/11/2026-11-29T02-17-00Z-100-1.jsonl
    has <(git -C origin.git show "$branch:$(on_branch)") 'image 20261101.1.0'
}

test_hostile_facts_of_a_night_are_text_or_refused() {
    measured
    tamper '.ref = "refs/heads/$(touch pwned)\"; touch pwned #" | .image.version = "1\n::error::owned"'
    run here/ci/night-remember
    ends_with 0
    lacks said '::error::owned'
    [ ! -e pwned ] && [ ! -e here/pwned ]
    for change in '.matrix.folder = "../../../outside"' '.matrix.folder = "reports/.."' '.matrix.folder = "/etc"' '.matrix.folder = "--help"'; do
        tamper "$change"
        run here/ci/night-remember
        has said 'nothing to remember'
    done
    tamper '.matrix.folder = "reports/2026-11-29T02-17-00Z-nightly" | .run_id = "1/../../../evil"'
    run here/ci/night-remember
    ends_with 1
    has said '::error title=no night::'
    same "$(on_branch | wc -l)" 1
}

test_branches_with_names_alike_are_not_the_history() {
    remembered
    git -C origin.git branch "x/$branch" "$branch"
    git -C origin.git branch --delete --force "$branch" >/dev/null
    export GITHUB_RUN_ID=101
    measured
    run here/ci/night-remember
    ends_with 0
    has said 'first night'
    same "$(on_branch | wc -l)" 1
}

test_earlier_nights_that_no_push_saved_are_added() {
    measured
    for id in 41 42 43 44 45; do artifact "$id"; done
    touch answers/artifacts/42/night/reports/2026-11-29T02-17-00Z-nightly/broken
    echo '{"workflow_runs": [
        {"id": 45, "event": "pull_request", "head_repository": {"full_name": "owner/project"}},
        {"id": 44, "event": "schedule", "head_repository": {"full_name": "stranger/project"}},
        {"id": 43, "event": "workflow_dispatch", "head_repository": {"full_name": "owner/project"}},
        {"id": 42, "event": "schedule", "head_repository": {"full_name": "owner/project"}},
        {"id": 41, "event": "schedule", "head_repository": {"full_name": "owner/project"}},
        {"id": 40, "event": "schedule", "head_repository": {"full_name": "owner/project"}},
        {"id": 100, "event": "schedule", "head_repository": {"full_name": "owner/project"}}]}' >answers/runs.json
    run here/ci/night-remember
    ends_with 0
    same "$(on_branch | sed 's/.*Z-//' | tr '\n' ' ')" '100-1.jsonl 41-1.jsonl 43-1.jsonl '
}

test_an_artifact_that_says_it_is_another_run_is_not_added() {
    measured
    artifact 41
    jq '.run_id = "77"' here/target/night/night.json >answers/artifacts/41/night/night.json
    echo '{"workflow_runs": [{"id": 41, "event": "schedule", "head_repository": {"full_name": "owner/project"}}]}' >answers/runs.json
    run here/ci/night-remember
    ends_with 0
    same "$(on_branch | wc -l)" 1
}
