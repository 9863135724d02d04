"""What both folders of tests share. Nothing here imports torch."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from archc.tests.support import ARCHS
from archc.tests.support.commands import TINY


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.arch"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session", autouse=True)
def fewer_collections() -> None:
    """Keep Python's cycle collector from walking what was imported and collected, and the objects of each test, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


# Of a test that is run for every network, `make check` runs these: one of each kind, and none that is large.
FEW = {
    *("lenet5", "alexnet", "vgg11", "googlenet", "resnet18", "cifar_resnet20", "mobilenet_v2", "unet", "densenet121"),
    *("efficientnet_b0", "shufflenet_v2_x1_0", "squeezenet1_1", "inception_v3", "convnext_tiny", "regnet_x_400mf", "vae_mnist"),
}


# Of these, which repeat one law, `make test` runs those few as well, and nights run all.
NIGHTLY = {
    *("test_expand_and_json_give_the_same_graph", "test_verbs_agree", "test_a_file_is_the_same_as_itself_formatted_and_expanded"),
    *("test_predicted_memory_is_what_is_measured", "test_a_training_step_has_finite_gradients"),
    *("test_macs_are_half_of_pytorchs_flops", "test_levels_agree_and_leave_the_network_as_it_is"),
    *("test_every_network_goes_through_every_pipeline", "test_keys_and_shapes_are_torchvisions"),
    *("test_shapes_and_weights_are_pytorchs", "test_the_lowered_program_has_every_part_step_and_output"),
    *("test_every_network_is_drawn_as_it_is", "test_files", "test_the_layer_table", "test_torchvision"),
    *("test_segmentation_is_bit_equal", "test_the_program_behind_every_pass_is_the_same_network"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the runs of a test for the networks that are left out of `make check`."""
    others = {path.stem for path in ARCHS} - FEW
    for item in items:
        values = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        names = {
            value.stem if isinstance(value, Path) else value.removesuffix(".arch") for value in values if isinstance(value, (Path, str))
        }
        if names & others:
            item.add_marker("every_network")
            if item.originalname in NIGHTLY:
                item.add_marker("slow")
