"""Recipes of training: what they may say, how they are refused, and the learning rate over time."""

from __future__ import annotations

import pytest

from archc.training.recipe import Schedule, WrongRecipe, known, parsed, read

WRONG = [
    ("rtae = 1", "r.toml:1: there is no setting `rtae`; did you mean `rate`?"),
    ("epochs = 3\nbatch = 0", "r.toml:2: `batch`: input should be greater than or equal to 1"),
    ("batch = 10\naccumulate = 3", "`accumulate` divides `batch`, and 3 does not divide 10"),
    ('[schedule]\nkind = "cosin"', "r.toml:2: `kind`: input should be 'constant', 'steps', 'cosine' or 'polynomial'"),
    ("[schedule]\nwramup = 1", "there is no setting `schedule.wramup`; did you mean `warmup`?"),
    ('[optimizer]\nname = "lion"', "does not match any of the expected tags: 'sgd', 'adam', 'adamw', 'rmsprop'"),
    ('augment = [{name = "random_crop", pad = 2}]', "there is no setting `augment.0.random_crop.pad`"),
    ("clip = nan", "finite number"),
    ("mean = [0.5]", "`mean` and `std` both have a number for each channel"),
    ('loss = "rbf"\nsmoothing = 0.1', "the loss `rbf` has one right class"),
    ("epochs = ", "r.toml is not TOML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_recipe_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(WrongRecipe) as caught:
        parsed(text, "r.toml")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", known())
def test_recipes_of_the_package_can_be_read(name: str) -> None:
    assert read(name).rate > 0


def test_an_unknown_recipe_has_a_near_name() -> None:
    with pytest.raises(WrongRecipe, match="did you mean `googlenet`"):
        read("googlnet")


def test_the_rate_over_time() -> None:
    steps = Schedule(kind="steps", warmup=1, at=(2, 3), gamma=(0.5, 0.1))
    assert [steps.factor(epoch, 4) for epoch in (0, 0.5, 1, 2, 3)] == [0, 0.5, 1, 0.5, 0.05]
    cosine = Schedule(kind="cosine", floor=0.1)
    assert [cosine.factor(epoch, 2) for epoch in (0, 1, 2)] == pytest.approx([1, 0.55, 0.1])
    assert Schedule(kind="polynomial", power=2).factor(1, 2) == 0.25
    assert Schedule().factor(7, 9) == 1


def test_the_published_rates_of_resnets_on_cifar() -> None:
    """64,000 steps, the rate divided by 10 after 32,000 and 48,000 (He et al. 2016, section 4.2), to the next whole epoch."""
    recipe, per_epoch = read("resnet_cifar"), 50_000 // 128
    assert recipe.steps(per_epoch) == pytest.approx(64_000, rel=0.01)
    first = next(step for step in range(64_000) if recipe.rate_at(step, per_epoch) < 0.09)
    second = next(step for step in range(64_000) if recipe.rate_at(step, per_epoch) < 0.009)
    assert (first, second) == pytest.approx((32_000, 48_000), rel=0.01)
