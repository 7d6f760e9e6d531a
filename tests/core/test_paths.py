"""Delivery paths: what a template names, what is wrong with one, which of them collide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.paths import (
    PLACEHOLDERS,
    Delivery,
    expand_template,
    full_template,
    has_request_id,
    same_places,
    template_problems,
    template_root,
)

ID = "7f2c0c0e-4d8b-4b8e-9c38-0a4f3f9c3f11"
FULL = "s3://acme-out/ndvi/<tileName>/<outputId>.<format>"


def expanded(url: str, *, request_id: str | None = None, media_type: str = "image/tiff") -> str:
    return expand_template(
        url,
        tile_name="33N_25_250",
        output_id="default",
        media_type=media_type,
        request_id=request_id,
    )


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://b", f"s3://b/{ID}/33N_25_250/default.tif"),
        ("s3://b/", f"s3://b/{ID}/33N_25_250/default.tif"),
        ("gs://b/ndvi/", f"gs://b/ndvi/{ID}/33N_25_250/default.tif"),
        (FULL, "s3://acme-out/ndvi/33N_25_250/default.tif"),
        ("s3://b/<tileName>.tif", "s3://b/33N_25_250.tif"),
        ("s3://b/<outputId>_<tileName>_<requestId>", f"s3://b/default_33N_25_250_{ID}"),
    ],
)
def test_a_plain_prefix_means_the_usual_template_below_it(url: str, place: str) -> None:
    assert expanded(url, request_id=ID) == place


def test_an_id_that_is_not_known_yet_stays_a_placeholder() -> None:
    assert expanded("s3://b/x") == "s3://b/x/<requestId>/33N_25_250/default.tif"


def test_a_name_with_angle_brackets_is_not_expanded_again() -> None:
    place = expand_template(
        "s3://b/<tileName>/<outputId>",
        tile_name="<outputId>",
        output_id="x",
        media_type="image/tiff",
    )
    assert place == "s3://b/<outputId>/x"


@pytest.mark.parametrize(
    ("media_type", "extension"), [("image/tiff", "tif"), ("application/json", "json")]
)
def test_the_format_gives_the_extension(media_type: str, extension: str) -> None:
    assert expanded(FULL, media_type=media_type).endswith(f".{extension}")


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("s3://b/ndvi/2025", "s3://b/ndvi/2025/"),
        ("s3://b/ndvi/2025/", "s3://b/ndvi/2025/"),
        ("s3://b", "s3://b/"),
        (FULL, "s3://acme-out/ndvi/"),
        ("s3://b/ndvi/day-<tileName>.tif", "s3://b/ndvi/"),
        ("s3://b/x/<requestId>/<tileName>/y", "s3://b/x/"),
    ],
)
def test_the_root_is_the_fixed_part_up_to_its_last_slash(url: str, root: str) -> None:
    assert template_root(url) == root


def test_a_plain_prefix_has_a_request_id_and_a_zarr_folder_only_where_it_says_so() -> None:
    assert has_request_id("s3://b/x")
    assert not has_request_id(FULL)
    assert not has_request_id("s3://b/x", delivery=Delivery.ZARR)
    assert has_request_id("s3://b/<requestId>", delivery=Delivery.ZARR)


@pytest.mark.parametrize(
    "url",
    [
        "s3://b",
        "s3://b/a b/c",
        "gs://b/x/",
        FULL,
        "s3://b/<requestId>/<tileName>/<outputId>.<format>",
        "s3://b/<outputId>/<tileName>",
    ],
)
def test_a_right_path_has_no_problem(url: str) -> None:
    assert template_problems(url, ["a", "b"]) == ()


def test_one_output_needs_no_output_id() -> None:
    assert template_problems("s3://b/<tileName>.tif", ["default"]) == ()
    (problem,) = template_problems("s3://b/<tileName>", ["default", "mask"])
    assert (
        problem.what
        == "the delivery path s3://b/<tileName> has no <outputId>, and there are 2 outputs."
    )
    assert problem.hint == "write `s3://b/<tileName>/<outputId>.<format>`"


def test_what_the_hint_says_has_no_problem() -> None:
    (problem,) = template_problems("s3://b/<requestId>/x", ["default"])
    assert "<tileName>" in problem.what
    assert template_problems(problem.hint.split("`")[1], ["a", "b"]) == ()


@pytest.mark.parametrize(
    ("url", "outputs", "hint"),
    [
        (
            "s3://b/<requestId>/<outputId>.tif",
            ["a"],
            "s3://b/<requestId>/<tileName>/<outputId>.tif",
        ),
        ("s3://b/<requestId>/x.tif", ["a"], "s3://b/<requestId>/<tileName>/x.tif"),
        (
            "s3://b/<requestId>/x.tif",
            ["a", "b"],
            "s3://b/<requestId>/<tileName>/x/<outputId>.tif",
        ),
        ("s3://b/<tileName>.tif", ["a", "b"], "s3://b/<tileName>/<outputId>.tif"),
        (
            "s3://my.bucket/<requestId>",
            ["a"],
            "s3://my.bucket/<requestId>/<tileName>/<outputId>.<format>",
        ),
    ],
)
def test_a_hint_makes_no_folder_of_a_file(url: str, outputs: list[str], hint: str) -> None:
    found = template_problems(url, outputs)
    assert found[0].hint == f"write `{hint}`"
    assert template_problems(hint, outputs) == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("<REQUEST_ID>", "<requestId>"),
        ("<requestID>", "<requestId>"),
        ("<request_id>", "<requestId>"),
        ("<tilename>", "<tileName>"),
        ("<tileId>", "<tileName>"),
        ("<IDENTIFIER>", "<tileName>"),
        ("<ID>", "<tileName>"),
        ("<OUTPUT>", "<outputId>"),
        ("<outputid>", "<outputId>"),
        ("<fmt>", "<format>"),
    ],
)
def test_an_unknown_placeholder_has_the_nearest_one_as_its_hint(written: str, meant: str) -> None:
    rest = "/".join(one for one in PLACEHOLDERS if one != meant)
    (problem,) = template_problems(f"s3://b/{rest}/{written}", ["a", "b"])
    assert written in problem.what
    assert problem.hint == f"did you mean `{meant}`?"


def test_a_placeholder_like_no_other_is_to_be_left_out() -> None:
    (problem,) = template_problems("s3://b/<tileName>/<date>", ["a"])
    assert problem.hint == "leave <date> out"


def test_zarr_knows_only_the_request_id() -> None:
    assert template_problems("s3://b/x", ["a", "b"], delivery=Delivery.ZARR) == ()
    assert template_problems("s3://b/<requestId>/x", ["a"], delivery=Delivery.ZARR) == ()
    (problem,) = template_problems("s3://b/<tileName>", ["a"], delivery=Delivery.ZARR)
    assert problem.why == "Batch processing knows <requestId>."


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("b/x", "write `s3://b/x`"),
        ("/b/x", "write `s3://b/x`"),
        ("S3://b", "write `s3://b`"),
        ("https://server/b/x", "name the bucket, as in `s3://bucket/path`"),
        ("s3://", "name the bucket, as in `s3://bucket/path`"),
        ("", "name the bucket, as in `s3://bucket/path`"),
        ("s3://<tileName>", "name the bucket, as in `s3://bucket/path`"),
    ],
)
def test_only_buckets_are_delivered_to(url: str, hint: str) -> None:
    (problem,) = template_problems(url, ["a"])
    assert "s3://bucket/path" in problem.why
    assert problem.hint == hint


@pytest.mark.parametrize("url", ["s3://b/<tileName>/<outputId", "s3://b/<tileName>/a>b"])
def test_a_bracket_has_its_other_half(url: str) -> None:
    (problem,) = template_problems(url, ["a"])
    assert "other half" in problem.what


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (FULL, FULL, True),
        (FULL, FULL.replace("ndvi", "ndwi"), False),
        (FULL, FULL.replace("s3:", "gs:"), False),
        # A tile may be called anything.
        (FULL, "s3://acme-out/ndvi/x/<tileName>.<format>", True),
        ("s3://b/<tileName>.tif", "s3://b/<tileName>.tiff", False),
        ("s3://b/<tileName>/a.tif", "s3://b/<tileName>/b.tif", False),
        ("s3://b/1/<tileName>", "s3://b/12/<tileName>", False),
        ("s3://b/1<tileName>", "s3://b/12<tileName>", True),
        ("s3://b/x/y", "s3://b/x", False),
        # The service mints another id for each task.
        ("s3://b", "s3://b", False),
        ("s3://b/x/<requestId>/<tileName>", "s3://b/x/<requestId>/<tileName>", False),
        ("s3://b/x/<requestId>/<tileName>", "s3://b/x/<tileName>/a", False),
    ],
)
def test_two_templates_share_places_unless_they_surely_do_not(
    left: str, right: str, same: bool
) -> None:
    assert same_places(left, right) is same
    assert same_places(right, left) is same


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (("s3://b/x", Delivery.ZARR), ("s3://b/x/", Delivery.ZARR), True),
        (("s3://b/x", Delivery.ZARR), ("s3://b/x/y", Delivery.ZARR), True),
        (("s3://b/x", Delivery.ZARR), ("s3://b/xy", Delivery.ZARR), False),
        (("s3://b/x", Delivery.ZARR), ("s3://b/x", Delivery.RASTER), True),
        (("s3://b/<requestId>", Delivery.ZARR), ("s3://b/<requestId>", Delivery.ZARR), False),
        (("s3://b/<requestId>", Delivery.ZARR), ("s3://b/<tileName>", Delivery.RASTER), False),
        (("s3://b/<requestId>", Delivery.ZARR), ("s3://b", Delivery.ZARR), True),
    ],
)
def test_a_zarr_folder_is_all_that_lies_in_it(
    left: tuple[str, Delivery], right: tuple[str, Delivery], same: bool
) -> None:
    assert same_places(left[0], right[0], deliveries=(left[1], right[1])) is same
    assert same_places(right[0], left[0], deliveries=(right[1], left[1])) is same


SEGMENT = st.sampled_from(["a", "b", "ab", *PLACEHOLDERS[1:]])
TEMPLATE = st.lists(SEGMENT, min_size=1, max_size=5).map(lambda parts: "s3://b/" + "/".join(parts))
NAME = st.sampled_from(["a", "b", "a/b", "ab"])


@given(TEMPLATE, TEMPLATE, NAME, NAME, NAME, NAME)
def test_templates_that_give_one_place_are_found(
    left: str, right: str, tile: str, output: str, other_tile: str, other_output: str
) -> None:
    """Never a no where two tasks would have met."""
    here = expand_template(left, tile_name=tile, output_id=output, media_type="image/tiff")
    there = expand_template(
        right, tile_name=other_tile, output_id=other_output, media_type="image/tiff"
    )
    if here == there and "<requestId>" not in here:
        assert same_places(left, right)
    assert same_places(left, right) == same_places(right, left)


@given(TEMPLATE)
def test_every_place_lies_below_the_root(url: str) -> None:
    assert expanded(url, request_id=ID).startswith(template_root(url))
    assert full_template(full_template(url)) == full_template(url)
