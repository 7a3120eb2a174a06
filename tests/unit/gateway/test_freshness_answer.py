"""What answers say of their freshness: `extensions.freshness`, and the `freshness` fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.freshness.wire import time_of
from slackwater.watermarks.tick import Tick
from tests.unit.gateway.freshness_bench import Bench, Tide

PAGES = "{ customers { orders { edges { cursor } } } }"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_shape_on_the_wire(bench: Bench) -> None:
    bench.tide.pass_by(84)
    assert await bench.told("{ customer { name } }") == {
        "version": 1,
        "readModels": {
            "customer_orders": {
                "version": 3,
                "status": "LIVE",
                "maxStalenessMs": 84,
                "lagEvents": 0,
                "holes": 0,
                "asOf": "2026-01-01T00:00:00.000Z",
            }
        },
        "fields": [
            {
                "path": ["customer"],
                "readModel": "customer_orders",
                "sources": ["customers"],
                "asOf": "2026-01-01T00:00:00.000Z",
                "maxStalenessMs": 84,
                "status": "LIVE",
                "complete": True,
                "servedFrom": "READ_MODEL",
            }
        ],
    }


async def test_each_source_has_a_bound_of_its_own(bench: Bench) -> None:
    bench.tide.pass_by(60)
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    bench.tide.pass_by(24)
    told = await bench.told("{ customer { name orderCount } }")
    assert [entry["maxStalenessMs"] for entry in told["fields"]] == [24, 84]
    assert told["readModels"]["customer_orders"]["maxStalenessMs"] == 84


async def test_what_is_proven_while_data_is_read_does_not_count(bench: Bench) -> None:
    def slowly() -> None:
        bench.tide.pass_by(500)
        bench.tide.settle()

    fields = await bench.fields("{ customer { name } }", bench.context(meanwhile=slowly))
    assert fields["customer",]["maxStalenessMs"] == 500


async def test_lagging_and_stalled_are_told(bench: Bench) -> None:
    bench.tide.pass_by(1_001)
    assert (await bench.fields("{ customer { name } }"))["customer",]["status"] == "LAGGING"
    bench.tide.halt("customer_orders")
    (entry,) = (await bench.told("{ customer { name } }"))["fields"]
    assert (entry["status"], entry["maxStalenessMs"]) == ("STALLED", 1_001)


async def test_what_is_not_proven_is_unknown() -> None:
    bench = Bench()
    bench.tide = Tide()
    (entry,) = (await bench.told("{ customer { name } }"))["fields"]
    assert (entry["status"], entry["maxStalenessMs"], entry["asOf"]) == ("UNKNOWN", None, None)


@pytest.mark.parametrize(("over_ms", "bound"), [(0, 2**31 - 1), (1, None)])
async def test_a_bound_that_fits_no_int_is_null_and_never_clamped(
    bench: Bench, over_ms: int, bound: int | None
) -> None:
    bench.tide.pass_by(2**31 - 1 + over_ms)
    told = await bench.told("{ customer { name freshness { maxStalenessMs status } } }")
    assert told["fields"][0]["maxStalenessMs"] == bound
    assert told["fields"][0]["status"] == ("STALLED" if bound is None else "LAGGING")
    assert told["readModels"]["customer_orders"]["maxStalenessMs"] == bound


async def test_a_fraction_of_a_millisecond_rounds_up(bench: Bench) -> None:
    bench.tide.pass_by(84.001)
    assert (await bench.fields("{ customer { name } }"))["customer",]["maxStalenessMs"] == 85


def test_times_round_down() -> None:
    moment = datetime(2026, 11, 23, 10, 0, 0, 120_999, tzinfo=UTC)
    assert time_of(moment) == "2026-11-23T10:00:00.120Z"


async def test_members_of_a_union_are_told_of_by_the_read_model_of_each(bench: Bench) -> None:
    told = await bench.told("{ search { edges { node { __typename } } } }")
    found = [(entry["path"], entry["readModel"]) for entry in told["fields"][1:]]
    assert found == [
        (["search", "edges", "node"], "orders"),
        (["search", "edges", 1, "node"], "products"),
        (["search", "edges", 2, "node"], "customer_orders"),
    ]
    assert all("type" not in entry for entry in told["fields"])


async def test_items_that_agree_are_told_of_without_indices(bench: Bench) -> None:
    context = bench.context(pages_elsewhere=("c1", "c2", "c3"))
    fields = await bench.fields(PAGES, context)
    assert fields["customers", "orders"]["readModel"] == "orders"
    assert not any(isinstance(step, int) for path in fields for step in path)


def elsewhere_is_staler(bench: Bench) -> None:
    bench.tide.publish("orders")
    bench.tide.tick("orders")
    bench.tide.pass_by(200)
    bench.tide.probe()
    bench.tide.tick()
    bench.tide.apply("customer_orders")
    bench.tide.pass_by(10)


async def test_items_that_differ_have_an_index_and_the_worst_stands_for_all(bench: Bench) -> None:
    elsewhere_is_staler(bench)
    fields = await bench.fields(PAGES, bench.context(pages_elsewhere=("c2",)))
    all_items, second = fields["customers", "orders"], fields["customers", 1, "orders"]
    assert (all_items["readModel"], all_items["maxStalenessMs"]) == ("customer_orders", 210)
    assert (second["readModel"], second["maxStalenessMs"]) == ("orders", 210)
    assert ("customers", 0, "orders") not in fields


async def test_what_most_items_agree_on_is_told_once(bench: Bench) -> None:
    fields = await bench.fields(PAGES, bench.context(pages_elsewhere=("c1", "c2")))
    assert {path for path in fields if path[-1] == "orders"} >= {("customers", "orders")}
    assert fields["customers", 0, "orders"]["readModel"] == "orders"


async def test_a_part_of_an_answer_has_no_bound(bench: Bench) -> None:
    context = bench.context(complete=False)
    result = await bench.send("{ search { freshness { status complete } } }", context)
    told = (result.extensions or {})["freshness"]
    assert result.data == {"search": {"freshness": {"status": "UNKNOWN", "complete": False}}}
    assert (told["fields"][0]["complete"], told["fields"][0]["maxStalenessMs"]) == (False, None)
    assert told["readModels"]["order_search"]["status"] == "UNKNOWN"


async def test_a_commands_own_answer_comes_from_the_source(bench: Bench) -> None:
    bench.tide.pass_by(84)
    query = """mutation { again: rename(name: "x") { ... on Renamed {
      consistencyToken customer { name orderCount orders { edges { cursor } } }
    } } }"""
    fields = await bench.fields(query)
    assert {path: entry["servedFrom"] for path, entry in fields.items()} == {
        ("again",): "SOURCE",
        ("again", "customer", "orders"): "READ_MODEL",
    }
    assert fields["again",]["maxStalenessMs"] == 0
    assert fields["again", "customer", "orders"]["maxStalenessMs"] == 84


async def test_a_source_that_was_asked_ages_from_the_asking(bench: Bench) -> None:
    context = bench.context(meanwhile=lambda: bench.tide.pass_by(70))
    fields = await bench.fields(
        'mutation { rename(name: "x") { ... on Renamed { customer { name } } } }', context
    )
    assert fields["rename",]["maxStalenessMs"] == 70


async def test_what_a_mutation_has_not_answered_is_left_out(bench: Bench) -> None:
    query = """mutation { rename(name: "") {
      ... on Renamed { customer { orders { edges { cursor } } } }
    } }"""
    told = await bench.told(query)
    assert (told["fields"], told["readModels"]) == ([], {})


async def test_below_a_payload_is_read_after_the_command(bench: Bench) -> None:
    bench.tide.pass_by(500)
    context = bench.context(meanwhile=bench.tide.settle)
    query = """mutation { rename(name: "x") { ... on Renamed { customer {
      orders @freshness(maxStalenessMs: 100, onStale: FAIL) { edges { cursor } }
    } } } }"""
    fields = await bench.fields(query, context)
    assert fields["rename", "customer", "orders"]["maxStalenessMs"] == 0


DETAIL: list[tuple[dict[str, Any] | None, str | None, set[str]]] = [
    (None, None, {"version", "readModels", "fields"}),
    ({"freshness": {}}, None, {"version", "readModels", "fields"}),
    ({"freshness": {"detail": "SUMMARY"}}, None, {"version", "readModels"}),
    ({"freshness": {"explain": True}}, None, {"version", "readModels", "fields", "sources"}),
    ({"persistedQuery": {}}, "SUMMARY; explain", {"version", "readModels", "sources"}),
    (None, "explain", {"version", "readModels", "fields", "sources"}),
    ({"freshness": {"detail": "FULL"}}, "OFF", {"version", "readModels", "fields"}),
]


@pytest.mark.parametrize(("extensions", "header", "parts"), DETAIL)
async def test_a_request_chooses_how_much_it_is_told(
    bench: Bench, extensions: dict[str, Any] | None, header: str | None, parts: set[str]
) -> None:
    context = bench.context(header)
    result = await bench.send("{ customer { name } }", context, extensions=extensions)
    assert set((result.extensions or {})["freshness"]) == parts


async def test_off_tells_nothing(bench: Bench) -> None:
    result = await bench.send("{ customer { name } }", bench.context("OFF"))
    assert result.extensions == {}


@pytest.mark.parametrize(
    ("extensions", "header"),
    [
        ({"freshness": {"detail": "LOUD"}}, None),
        ({"freshness": "FULL"}, None),
        ({"freshness": {"explain": 1}}, None),
        ({"freshness": {"detial": "FULL"}}, None),
        (None, "LOUD"),
        (None, "FULL; SUMMARY"),
        (None, "FULL explain"),
    ],
)
async def test_unknown_words_are_refused(
    bench: Bench, extensions: dict[str, Any] | None, header: str | None
) -> None:
    context = bench.context(header)
    result = await bench.send("{ customer { name } }", context, extensions=extensions)
    assert result.errors is not None
    assert (result.errors[0].extensions or {})["code"] == "BAD_USER_INPUT"


async def test_explain_names_what_limits_the_bound(bench: Bench) -> None:
    bench.tide.pass_by(20)
    bench.tide.tick()
    bench.tide.pass_by(60)
    told = await bench.told("{ customer { name } }", bench.context("FULL; explain"))
    (source,) = told["readModels"]["customer_orders"]["sources"]
    assert source == {
        "source": "customers",
        "asOf": "2026-01-01T00:00:00.000Z",
        "maxStalenessMs": 80,
        "tick": "1.3",
        "limitedBy": "PROBE",
    }
    assert told["sources"] == {"customers": {"tick": "1.3", "probeAgeMs": 80, "tickAgeMs": 60}}


FIELD = "query ($f: String) { customer { orderCount freshness(field: $f) { %s } } }"


async def test_an_object_tells_the_worst_of_its_fields(bench: Bench) -> None:
    bench.tide.pass_by(60)
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    bench.tide.pass_by(24)
    words = "readModel maxStalenessMs staleExceptHolesMs lagEvents holes status complete "
    words += "servedFrom limitedBy asOf sources { source maxStalenessMs tick }"
    result = await bench.send(FIELD % words)
    assert result.data is not None
    assert result.data["customer"]["freshness"] == {
        "readModel": "customer_orders",
        "maxStalenessMs": 84,
        "staleExceptHolesMs": 84,
        "lagEvents": 0,
        "holes": 0,
        "status": "LIVE",
        "complete": True,
        "servedFrom": "READ_MODEL",
        "limitedBy": "PROBE",
        "asOf": "2026-01-01T00:00:00+00:00",
        "sources": [
            {"source": "customers", "maxStalenessMs": 24, "tick": "1.3"},
            {"source": "orders", "maxStalenessMs": 84, "tick": "1.2"},
        ],
    }


@pytest.mark.parametrize(
    ("field", "bound_ms"), [("name", 24), ("orderCount", 84), ("orders", 84), ("lastOrder", 84)]
)
async def test_a_field_tells_of_its_own_sources(bench: Bench, field: str, bound_ms: int) -> None:
    bench.tide.pass_by(60)
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    bench.tide.pass_by(24)
    result = await bench.send(FIELD % "maxStalenessMs", f=field)
    assert result.data is not None
    assert result.data["customer"]["freshness"]["maxStalenessMs"] == bound_ms


async def test_an_unknown_field_is_bad_user_input(bench: Bench) -> None:
    result = await bench.send(FIELD % "status", f="nmae")
    assert result.errors is not None
    assert (result.errors[0].extensions or {})["code"] == "BAD_USER_INPUT"


async def test_an_object_from_the_source_says_so(bench: Bench) -> None:
    bench.tide.pass_by(500)
    query = """{ customer @freshness(maxStalenessMs: 100, onStale: SOURCE) {
      freshness(field: "name") { servedFrom readModel maxStalenessMs }
    } }"""
    result = await bench.send(query)
    assert result.data == {
        "customer": {"freshness": {"servedFrom": "SOURCE", "readModel": None, "maxStalenessMs": 0}}
    }


async def test_a_restored_source_proves_nothing(bench: Bench) -> None:
    bench.tide.pass_by(10)
    bench.tide.publish("customers")
    bench.tide.settle()
    bench.tide.ticks["customers"] = Tick(2, 1, "restored")
    bench.tide.probe("customers")
    bench.tide.tick("customers")
    (entry,) = (await bench.told("{ customer { name } }"))["fields"]
    assert entry["status"] == "UNKNOWN"
