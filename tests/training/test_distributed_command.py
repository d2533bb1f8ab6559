import json
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import pytest

from tests.training.streamed_bars import write_bars
from tests.training.test_trainer_runs import CPU
from training import distributed
from training.checkpoint import Checkpoint
from training.distributed import main, name_run, read_arguments, read_recipe
from training.errors import TrainingError
from training.experiment import curve_frame
from training.jobs import repeatable
from training.models import Net
from training.recipe import Recipe
from training.shards.manifest import Manifest, read_manifest
from training.streamed import Splits, train_streamed

RECIPE = Recipe("train", 12, 32, 0.05, 5e-4, evals=2, net=Net(widths=(8, 16)))
Store = tuple[Path, Manifest]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The bars as shards."""
    out = tmp_path_factory.mktemp("bars")
    return out, write_bars(out)


def _words(store: Store, out: Path, recipe: Recipe = RECIPE) -> list[str]:
    """The command's words for a run into `out`."""
    told = out / "recipe.json"
    told.write_text(json.dumps(asdict(recipe)))
    return [str(store[0]), store[1].digest, str(told), "--out", str(out), "--seed", "1",
            "--image-size", "16", "--channels", "1", "--device", "cpu"]  # fmt: skip


def _losses(store: Store, recipe: Recipe) -> list[float]:
    """The validation losses of a run that nothing came before."""
    with repeatable(CPU):
        run, told = train_streamed(Splits.open(*store, image_size=16, channels=1), 1, recipe)
    return curve_frame("train", [run], told)["val_nll"].to_list()


def test_the_command_trains_alone(store: Store, tmp_path: Path) -> None:
    """Without torchrun the command is one process, with the same bits as the function."""
    assert main(_words(store, tmp_path)) == 0
    curve = pl.read_parquet(tmp_path / "curves.parquet")
    assert curve["val_nll"].to_list() == _losses(store, RECIPE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.parquet", "recipe.json"]


def test_a_killed_command_lends_its_weights_to_no_other_run(
    store: Store,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a kill another recipe or manifest starts anew, and the first run still goes on."""

    class Killed(Exception):  # noqa: N818 - no error
        pass

    class Killing(Checkpoint):
        def save(self, *state: object) -> None:
            super().save(*state)  # type: ignore[arg-type]
            raise Killed

    there = tmp_path_factory.mktemp("wrong")
    wrong = there, write_bars(there, wrong=True)
    slow = replace(RECIPE, lr=0.001)
    with monkeypatch.context() as patch:
        patch.setattr(distributed, "Checkpoint", Killing)
        with pytest.raises(Killed):
            main([*_words(store, tmp_path), "--checkpoint-s", "0"])
    left = [p.name for p in tmp_path.glob("*.open")]
    for other, recipe in ((wrong, RECIPE), (store, slow)):
        assert main(_words(other, tmp_path, recipe)) == 0
        curve = pl.read_parquet(tmp_path / "curves.parquet")
        assert curve["val_nll"].to_list() == _losses(other, recipe)
        assert [p.name for p in tmp_path.glob("*.open")] == left
    assert main(_words(store, tmp_path)) == 0
    curve = pl.read_parquet(tmp_path / "curves.parquet")
    assert curve["val_nll"].to_list() == _losses(store, RECIPE)
    assert not list(tmp_path.glob("*.open"))


def test_a_run_is_named_by_all_that_it_depends_on(store: Store, tmp_path: Path) -> None:
    """Whatever changes the bits of a run changes its name; where and how often it saves do not."""

    def name(*more: str, recipe: Recipe = RECIPE) -> str:
        return name_run(read_arguments([*_words(store, tmp_path), *more]), recipe, CPU)

    changes = (("--arm", "cleaned"), ("--seed", "2"), ("--image-size", "20"), ("--channels", "3"))
    net = replace(RECIPE, net=Net(widths=(8, 17)))
    names = [name(), *(name(*change) for change in changes), name(recipe=net)]
    assert len(set(names)) == len(names)
    assert name("--checkpoint-s", "3", "--out", "elsewhere") == name()


def _spoil(text: str) -> object:
    """Write a recipe of these characters."""
    return lambda words: Path(words[2]).write_text(text)


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("recipe: has no such field (got 'optimizer'). Fields: tier, steps, ",
         _spoil(json.dumps({**asdict(RECIPE), "optimizer": "muon"}))),
        ("recipe: lacks a field (got 'tier'). ", _spoil("{}")),
        ("recipe.json: is no JSON (got 'Expecting ", _spoil("{")),
        ("recipe.json: is no object (got 'list'). Needs an object", _spoil("[1]")),
        ("recipe.json: cannot be used (got 'No such file or directory').",
         lambda words: Path(words[2]).unlink()),
        (": holds no such manifest (got '0000", lambda words: words.__setitem__(1, "0" * 64)),
        (": this is no manifest digest (got 'raw').", lambda words: words.__setitem__(1, "raw")),
        (": cannot be written (got 'File exists').",
         lambda words: words.__setitem__(4, str(words[2]))),
        ("--image-size: cannot be (got 3). From 8 to 512 px.",
         lambda words: words.extend(["--image-size", "3"])),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: str, change: object
) -> None:
    """What a person can mend is one line on stderr, no traceback, and exit code 2."""
    words = _words(store, tmp_path)
    change(words)  # type: ignore[operator]
    assert main(words) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert (said.err.count("\n"), said.out) == (1, "")


def test_recipes_are_read_back(store: Store) -> None:
    """A recipe survives JSON; what is no field is told by its name."""
    assert read_manifest(store[0], store[1].digest) == store[1]
    recipe = replace(RECIPE, schedule="wsd", freeze=(0.5, 1.0), net=Net("resnet18", norm="group"))
    assert read_recipe(json.loads(json.dumps(asdict(recipe)))) == recipe
    with pytest.raises(TrainingError, match=r"recipe: .*'epochs'.*Fields: tier, steps"):
        read_recipe({**asdict(recipe), "epochs": 3})
    with pytest.raises(TrainingError, match=r"lacks a field \(got 'lr'\)"):
        read_recipe({"tier": "train", "steps": 3, "batch_size": 2})
