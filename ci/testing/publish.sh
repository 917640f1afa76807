# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # text that must not expand, and variables of the harness
# Tests of ci/night-publish, ci/night-verdict, of who may write, and of what the parts share. Part of ci/test-night.

# Neither remembers nor publishes, says why, and does not fail: REASON.
writes_nothing() {
    measured
    run here/ci/night-remember
    ends_with 0
    has said "::notice title=not pushed::The night is not added to the history: $1"
    has output pushed=false
    same "$(on_branch)" ''
    : >output
    echo '{"build_type": "workflow"}' >answers/pages.json
    run here/ci/night-publish
    ends_with 0
    has output made=true
    lacks output deploy
    has said "::notice title=not published::The site is not published: $1"
}

test_a_fork_writes_nothing() {
    echo '{"repository": {"fork": true, "default_branch": "main"}}' >event.json
    writes_nothing 'this repository is a fork'
}

test_a_fork_that_only_github_knows_of_writes_nothing() {
    echo '{"schedule": "17 2 * * *"}' >event.json
    echo '{"fork": true, "default_branch": "main"}' >answers/repository.json
    writes_nothing 'this repository is a fork'
}

test_who_cannot_be_told_from_a_fork_writes_nothing() {
    echo '{"schedule": "17 2 * * *"}' >event.json
    writes_nothing 'it cannot be told'
}

test_another_branch_writes_nothing() {
    export GITHUB_REF='refs/heads/$(touch pwned)'
    writes_nothing 'refs/heads/$(touch pwned) is not the default branch'
    [ ! -e pwned ] && [ ! -e here/pwned ]
}

test_without_a_token_nothing_is_written() {
    unset GH_TOKEN
    writes_nothing 'the step has no token'
}

test_the_site_has_the_reports_of_earlier_nights() {
    remembered
    export STUB_RUN=2026-11-28T02-17-00Z-nightly
    measured
    artifact 41
    unset STUB_RUN
    measured
    echo '{"workflow_runs": [{"id": 41, "event": "schedule", "head_repository": {"full_name": "owner/project"}}]}' >answers/runs.json
    run here/ci/night-publish
    ends_with 0
    has here/target/site/index.html 'report 2026-11-28T02-17-00Z-nightly'
    has here/target/site/index.html 'report 2026-11-29T02-17-00Z-nightly'
    has program.log '--budget 800000000'
}

test_the_site_is_made_without_tonight() {
    remembered
    rm -r here/target/night
    echo '{"build_type": "workflow"}' >answers/pages.json
    run here/ci/night-publish
    ends_with 0
    has said '::warning title=no report::'
    has output deploy=true
    has here/target/site/index.html 2026-11-29T02-17-00Z-100-1.jsonl
}

test_a_site_that_leaves_something_out_is_published_and_says_so() {
    remembered
    echo '{"build_type": "workflow"}' >answers/pages.json
    export STUB_SITE_EXIT=1
    run here/ci/night-publish
    ends_with 0
    has output deploy=true
    has said '::warning title=site::'
    : >output
    export STUB_NO_SITE=1
    run here/ci/night-publish
    ends_with 1
    has said '::error title=no site::'
    lacks output deploy
}

test_before_the_first_night_there_is_no_site() {
    run here/ci/night-publish
    ends_with 0
    has said '::notice title=no site::'
    lacks output made
}

test_pages_that_are_not_set_up_are_said() {
    remembered
    run here/ci/night-publish
    ends_with 0
    has output made=true
    lacks output deploy
    has said 'Settings > Pages > Source > GitHub Actions'
    echo '{"build_type": "legacy"}' >answers/pages.json
    : >output
    run here/ci/night-publish
    lacks output deploy
}

test_the_verdict_is_green_if_all_was_well() {
    remembered
    export MEASURE=success SELFTEST=skipped REMEMBER=success PUBLISH=success DEPLOY=skipped
    run here/ci/night-verdict
    ends_with 0
    has summary '| measure | ok |'
    has summary '| selftest, short | ok |'
}

# The verdict is red and says it: WORDS.
red() {
    : >summary
    run here/ci/night-verdict
    ends_with 1
    has said "::error title=night::$1"
    has summary '**red**'
}

test_the_verdict_is_red_for_each_part_that_failed() {
    remembered
    export MEASURE=success SELFTEST=skipped REMEMBER=success PUBLISH=success DEPLOY=success
    MEASURE=failure red 'measure: failed'
    MEASURE=cancelled red 'measure: was stopped'
    SELFTEST=failure red 'selftest, whole: failed'
    SELFTEST=success red 'selftest, whole: has no outcome'
    REMEMBER=failure red 'remember: failed'
    PUBLISH=failure red 'publish: failed'
    DEPLOY=failure red 'deploy: failed'
    tamper '.matrix.exit = 1'
    red 'measure: a server did not start'
    tamper '.matrix.exit = 130'
    red 'measure: it was stopped by its time limit'
    tamper '.matrix.exit = 0 | .selftest.exit = 1'
    red 'selftest, short: does not reach its bars'
    tamper '.selftest.folder = null'
    red 'selftest, short: has no outcome'
    rm -r here/target/night
    red 'measure: it ended with exit code ?'
}

test_the_verdict_is_red_for_a_confirmed_change() {
    remembered
    export MEASURE=success SELFTEST=skipped REMEMBER=success PUBLISH=success DEPLOY=success
    judgement=here/target/night-judgement.json
    echo '{"faults": [], "judgement": {"cells": [{"word": "confirmed-worse"}, {"word": "same"}], "suspects": [{}]}}' >$judgement
    red 'judge: cells with a change for the worse that is confirmed: 1'
    echo '{"faults": [], "judgement": {"cells": [{"word": "suspected"}], "suspects": [{}]}}' >$judgement
    : >summary
    run here/ci/night-verdict
    ends_with 0
    has summary 'suspected: 1'
    echo '{"faults": ["torn"], "judgement": null}' >$judgement
    red 'history: parts that cannot be read, and are left out: 1'
    echo 'torn' >$judgement
    red 'judge: its judgement cannot be read'
}

test_the_weekly_selftest_is_remembered_with_its_night() {
    measured
    run here/ci/night-selftest
    ends_with 0
    has program.log "selftest --seed $(date -u +%Y%m%d)"
    run here/ci/night-remember
    ends_with 0
    has program.log '--selftest target/night/selftest/2026-11-29T03-00-00Z-selftest --selftest target/night-selftest/selftest/2026-11-29T03-00-00Z-selftest'
    export STUB_NO_SELFTEST=1
    run here/ci/night-selftest
    ends_with 1
    has said '::error title=no selftest::'
}

test_no_text_can_give_github_another_command() {
    # shellcheck source=ci/lib/workflow.sh
    source "$repository/ci/lib/workflow.sh"
    annotate error 'a:b,c' $'50 %\r\n::set-output name=x::y' >said
    output name $'value\nother=1'
    same "$(cat said)" '::error title=a%3Ab%2Cc::50 %25%0D%0A::set-output name=x::y'
    same "$(cat output)" 'name=value other=1'
}

test_the_time_limits_of_the_workflow_leave_room_for_the_parts() {
    # shellcheck source=ci/lib/night.sh
    source "$repository/ci/lib/night.sh"
    workflow=$repository/.github/workflows/nightly.yml
    limits() { sed -n "/^  $1:/,/^  [a-z]*:\$/s/^ *-\\{0,1\\} *timeout-minutes: //p" "$workflow"; }
    # Of the job, then of its step.
    mapfile -t found < <(limits measure)
    [ "${found[1]}" -ge $((matrix_minutes + quick_minutes + 20)) ]
    # Older code is built first, of up to three commits.
    [ "${found[3]}" -ge $((experiment_minutes + 35)) ]
    [ "${found[0]}" -gt $((found[1] + found[2] + found[3])) ]
    # GitHub ends a job after six hours, whatever its limit says.
    [ "${found[0]}" -le 350 ]
    mapfile -t found < <(limits selftest)
    [ "${found[1]}" -ge $((whole_minutes + 20)) ]
    [ "${found[0]}" -gt "${found[1]}" ]
}

test_a_whole_night_runs_on_any_machine() {
    unset GITHUB_ACTIONS NIGHT_REMOTE
    run here/ci/nightly
    ends_with 0
    run here/ci/nightly
    ends_with 0
    [ -f here/target/nightly/site/index.html ]
    same "$(git -C here/target/nightly/history.git rev-list --count "$branch")" 1
}
