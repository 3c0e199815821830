"""The acceptance list: what real clients must be able to do, by number, and the tests that show it.

A test is written ``file::test``, from ``tests/`` on; ``[name]`` is one scenario of kubectl's rows.
"""

from typing import NamedTuple

HERE = "acceptance/apiserver"
INTEGRATION = "integration/apiserver"


class Item(NamedTuple):
    what: str
    tests: tuple[str, ...]


def _real(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_real_clients.py::test_{name}" for name in names)


def _get(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_kubectl_get.py::test_{name}" for name in names)


def _create(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_kubectl_create.py::test_{name}" for name in names)


def _apply(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_kubectl_apply.py::test_{name}" for name in names)


def _custom(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_kubectl_custom.py::test_{name}" for name in names)


def _http(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_http_rules.py::test_{name}" for name in names)


def _watch(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_watch_streams.py::test_{name}" for name in names)


def _python(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_python_clients.py::test_{name}" for name in names)


def _rows(*names: str) -> tuple[str, ...]:
    path = f"{HERE}/test_kubectl_rows.py::test_kubectl_gets_what_a_real_server_gives"
    return tuple(f"{path}[{name}]" for name in names)


def _calls(*names: str) -> tuple[str, ...]:
    return tuple(f"{HERE}/test_python_calls.py::test_{name}" for name in names)


def _rest(*names: str) -> tuple[str, ...]:
    return tuple(f"{HERE}/test_remaining_items.py::test_{name}" for name in names)


def _streams(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_kubectl_streams.py::test_{name}" for name in names)


def _access(*names: str) -> tuple[str, ...]:
    return tuple(f"{INTEGRATION}/test_access.py::test_{name}" for name in names)


_BAD = (f"{HERE}/test_bad_input.py::test_bad_requests_get_the_status_of_a_real_server",)

ITEMS: dict[int, Item] = {
    1: Item("version", _real("kubectl_sees_the_first_namespaces") + _rows("discovery and explain")),
    2: Item("get ns as a table", _real("kubectl_sees_the_first_namespaces")),
    3: Item(
        "api-resources and api-versions",
        _get("discovery_takes_two_requests_and_lists_custom_resources") + _rows("discovery and explain"),
    ),
    4: Item("create configmap, twice", _create("kubectl_creates_without_noise")),
    5: Item(
        "create ns and secret, read back",
        _create("kubectl_creates_without_noise", "what_was_created_reads_back"),
    ),
    6: Item("create deployment", _create("what_was_created_reads_back")),
    7: Item("create of every kind, free of noise", _create("kubectl_creates_without_noise")),
    8: Item(
        "create -f a pod; get in every form",
        _real("kubectl_creates_gets_and_deletes", "kubectl_pages_sorts_and_finds_nothing")
        + _rows("get in every form"),
    ),
    9: Item(
        "apply: created, unchanged, configured", _apply("client_side_apply_creates_leaves_and_configures")
    ),
    10: Item("apply twice duplicates no container", _apply("containers_are_merged_not_duplicated")),
    11: Item("apply --server-side", _apply("server_side_apply_meets_conflicts_and_forces")),
    12: Item("conflicts and --force-conflicts", _apply("server_side_apply_meets_conflicts_and_forces")),
    13: Item(
        "a dropped field is removed; both managers", _apply("a_field_dropped_from_the_manifest_is_removed")
    ),
    14: Item("dry run and diff", _apply("apply_in_a_dry_run_and_diff_write_nothing")),
    15: Item(
        "replace and replace --force",
        _apply("edit_replace_label_and_annotate")
        + _rows("apply from folders, kustomize, prune, diff and replace"),
    ),
    16: Item("edit", _rows("apply from folders, kustomize, prune, diff and replace", "custom resources")),
    17: Item(
        "patches of three types; a failing test",
        _apply("patches_of_every_type") + _real("kubectl_changes_a_deployment") + _BAD,
    ),
    18: Item(
        "no strategic patch of custom resources",
        _apply("custom_resources_have_no_strategic_patch_but_apply_on_both_sides"),
    ),
    19: Item("label and annotate; a stale version", _rows("label, annotate and patch several objects")),
    20: Item("scale", _rows("set", "custom resources")),
    21: Item("set image, rollout restart, status, history", _rows("rollouts with controllers on")),
    22: Item(
        "describe with events",
        _rest("describe_shows_the_events_of_this_very_object") + _rows("describe of common kinds"),
    ),
    23: Item(
        "logs, and logs -f",
        _get("run_logs_scale_expose_and_debug")
        + _rows("wait and logs")
        + _streams("a_followed_log_grows_until_the_container_ends_or_the_pod_is_gone"),
    ),
    24: Item("exec, with its exit code", _streams("exec_prints_passes_input_and_exits_as_the_program_did")),
    25: Item(
        "attach; port-forward",
        _streams(
            "attach_shows_what_the_container_prints_until_it_ends",
            "port_forward_reaches_what_answers_on_the_pods_ports",
        ),
    ),
    26: Item(
        "wait for conditions, values, creation, deletion",
        _rows("wait and logs", "rollouts with controllers on")
        + _rest("a_finalizer_holds_a_pod_until_it_is_taken_away"),
    ),
    27: Item(
        "the same with streaming lists",
        _real("client_go_waits_with_both_kinds_of_list") + _rows("rollouts with controllers on"),
    ),
    28: Item("explain", _custom("explain_knows_built_in_and_custom_kinds") + _rows("discovery and explain")),
    29: Item(
        "auth can-i and whoami",
        _create("everybody_may_do_everything", "whoami_shows_the_user_and_the_one_it_acts_for")
        + _access("nothing_is_allowed_until_a_role_is_bound", "an_administrator_asks_and_acts_for_others"),
    ),
    30: Item(
        "definitions, columns, categories",
        _rows("custom resources") + _get("tables_of_custom_and_built_in_kinds_in_one_category"),
    ),
    31: Item("schemas: refused, pruned, defaulted", _custom("bad_values_unknown_fields_and_defaults")),
    32: Item(
        "several versions; all go together", _custom("both_versions_are_read_and_both_go_with_the_definition")
    ),
    33: Item(
        "delete in every way",
        _rows("delete by selector, kind and file") + _rest("dependents_go_stay_or_go_first"),
    ),
    34: Item("finalizers", _rest("a_finalizer_holds_a_pod_until_it_is_taken_away")),
    35: Item(
        "delete of a namespace",
        _real("kubectl_deletes_a_namespace_with_its_contents")
        + _rest("a_namespace_goes_with_events_and_takes_nothing_new"),
    ),
    36: Item(
        "run, expose, autoscale",
        _rows("create with every generator") + _create("autoscalers_are_seen_in_both_versions"),
    ),
    37: Item(
        "what is not there",
        _real("kubectl_pages_sorts_and_finds_nothing", "kubectl_creates_gets_and_deletes"),
    ),
    38: Item(
        "TLS with tokens and client certificates; bad tokens",
        _real("tls_and_a_token_work_for_both")
        + _access("a_client_certificate_is_a_user_with_groups", "a_bad_token_must_log_in"),
    ),
    39: Item(
        "bodies: JSON, YAML, pretty, too large",
        _http("bodies_are_json_by_default_or_yaml", "people_get_indented_answers") + _BAD,
    ),
    40: Item("pages", _rest("pages_show_one_version_until_it_is_forgotten")),
    41: Item(
        "old, bad and future versions",
        _watch("a_lost_place_is_an_error_inside_the_stream")
        + _watch("initial_events_of_the_future_are_an_error_inside_the_stream")
        + _rest("a_watch_from_the_future_is_silent_until_then")
        + _BAD,
    ),
    42: Item("streaming lists", _watch("a_streaming_list_ends_with_an_annotated_bookmark") + _BAD),
    43: Item(
        "official: all verbs, 404 and 409",
        _real("the_official_client_does_all_verbs") + _python("a_dictionary_is_a_strategic_patch"),
    ),
    44: Item(
        "official: a watch by label",
        _real("the_official_clients_watch_sees_objects_come_and_go_by_label"),
    ),
    45: Item(
        "official: log, exec, eviction, review, lease, collections",
        _python("logs_evictions_scale_and_reviews")
        + _calls("the_official_client")
        + (f"{INTEGRATION}/test_container_streams.py::test_the_official_client_runs_commands",),
    ),
    46: Item("official: create_from_yaml, custom objects", _rest("the_official_client_creates_from_yaml")),
    47: Item(
        "official: dynamic client, informer, leader election",
        _calls("the_official_client")
        + _python("the_dynamic_client_applies")
        + _rest("the_official_clients_leader_hands_over"),
    ),
    48: Item("kr8s", _calls("kr8s")),
    49: Item(
        "lightkube",
        _python("lightkube_creates_patches_applies_scales_and_deletes")
        + _calls("lightkubes_asynchronous_client"),
    ),
    50: Item(
        "our own informer over thousands of objects, with its watch cut and its history gone",
        (
            "integration/local/test_factory_against_apiserver.py"
            "::test_thousands_of_objects_survive_cuts_lost_history_and_broken_lists",
        ),
    ),
    51: Item(
        "the pytest plug-in",
        (
            f"{INTEGRATION}/test_pytest_plugin.py::test_the_fixtures_work_and_leave_nothing_under_strict_warnings",
        ),
    ),
}
