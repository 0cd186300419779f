from pathlib import Path

import pytest

from aeret.errors import SettingsError
from aeret.pipeline.pipelines import read_pipeline, with_source

MATRIX = """
pipeline:
  name: arms
  matrix:
    cnn.arm: [joint, labels-only]
    seed: [0, 1, 2]
  compare: cnn.arm
  baseline: labels-only
cnn: {latent_weight: 0.5}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "arms.yaml"
    path.write_text(text)
    return path


def test_every_combination_is_a_cell(tmp_path: Path) -> None:
    pipeline = read_pipeline(write(tmp_path, MATRIX))
    assert [(cell.settings.cnn.arm, cell.settings.seed) for cell in pipeline.cells] == [
        ("joint", 0), ("joint", 1), ("joint", 2), ("labels-only", 0), ("labels-only", 1), ("labels-only", 2),
    ]  # fmt: skip
    assert pipeline.cells[0].label == "joint.0"
    assert {cell.settings.cnn.latent_weight for cell in pipeline.cells} == {0.5}


def test_set_wins_over_the_matrix(tmp_path: Path) -> None:
    pipeline = read_pipeline(write(tmp_path, MATRIX), ["seed=9"])
    assert [cell.label for cell in pipeline.cells] == ["joint", "labels-only"]
    assert {cell.settings.seed for cell in pipeline.cells} == {9}


@pytest.mark.parametrize("text", ["cnn.arm =joint", " cnn.arm=joint", "cnn={arm: joint}"])
def test_an_override_takes_the_place_of_every_axis_that_it_decides(tmp_path: Path, text: str) -> None:
    pipeline = read_pipeline(write(tmp_path, MATRIX), [text])
    assert [(cell.label, cell.settings.cnn.arm) for cell in pipeline.cells] == [
        ("0", "joint"), ("1", "joint"), ("2", "joint"),
    ]  # fmt: skip
    assert pipeline.compare == ""


def test_an_override_inside_an_axis_leaves_the_axis(tmp_path: Path) -> None:
    text = "pipeline: {matrix: {cnn.training: [{epochs: 1}, {epochs: 2}], cnn.arm: [joint, labels-only]}}\n"
    pipeline = read_pipeline(write(tmp_path, text), ["cnn.training.batch_size=8"])
    assert {(cell.settings.cnn.training.epochs, cell.settings.cnn.training.batch_size) for cell in pipeline.cells} == {
        (1, 8), (2, 8),
    }  # fmt: skip
    assert len(pipeline.cells) == 4


def test_matrix_values_are_values_not_text(tmp_path: Path) -> None:
    text = """
pipeline:
  matrix:
    data.manifest: ["my #1.yaml", "a: b", "007", "~"]
    evaluation.cutoffs: [[1, 10]]
    cnn.training.learning_rate: [1e-4]
"""
    cells = read_pipeline(write(tmp_path, text)).cells
    assert [cell.settings.data.manifest for cell in cells] == ["my #1.yaml", "a: b", "007", "~"]
    assert {cell.settings.evaluation.cutoffs for cell in cells} == {(1, 10)}
    assert cells[0].values["evaluation.cutoffs"] == [1, 10]
    assert type(cells[0].values["cnn.training.learning_rate"]) is float


def test_labels_and_names_are_file_names_and_differ(tmp_path: Path) -> None:
    path = tmp_path / "my arms #1.yaml"
    path.write_text('pipeline: {matrix: {data.manifest: ["/a/b c.yaml", "a/b-c.yaml", "../..", ""]}}\n')
    pipeline = read_pipeline(path)
    assert [cell.label for cell in pipeline.cells] == ["a-b-c.yaml", "a-b-c.yaml-2", "value", "value-2"]
    assert pipeline.name == "my-arms-1"


def test_no_pipeline_block_is_one_run_of_all_stages(tmp_path: Path) -> None:
    pipeline = read_pipeline(write(tmp_path, "seed: 1\n"))
    assert (pipeline.name, len(pipeline.cells), pipeline.stages[-1]) == ("arms", 1, "cluster-eval")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pipeline: {stages: [prepair]}\n", "'prepair' is no stage"),
        ("pipeline: {compare: cnn.arm}\n", "not in the matrix"),
        ("pipeline: {metrix: {}}\n", "there is no such setting, did you mean 'matrix'"),
        ("pipeline: 3\n", "expected a mapping"),
        ("pipeline:\n  matrix: {cnn.arm: [joint, wrong]}\n", "arms.yaml: matrix value cnn.arm='wrong': cnn.arm: Input"),
        ("pipeline:\n  matrix: {cnn.amr: [joint]}\n", "cnn.amr: there is no such setting, did you mean 'arm'"),
        ("pipeline: {stages: []}\n", r"arms.yaml:1:12: stages: .*at least 1 item"),
        ("pipeline: {matrix: {seed: []}}\n", r"matrix.seed: .*at least 1 item"),
        ("pipeline: {matrix: {seed: [0, 1, 0]}}\n", "pipeline.matrix.seed: 0 is given twice"),
        ("pipeline: {name: ../arms}\n", "name: String should match pattern"),
        ("pipeline: {baseline: joint}\n", "pipeline.baseline: needs pipeline.compare"),
        (MATRIX.replace("baseline: labels-only", "baseline: labels"), "'labels' is none of .*: joint, labels-only"),
    ],
)
def test_bad_blocks(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_pipeline(write(tmp_path, text))


def test_a_preset_whose_matrix_lacks_the_baseline_is_refused(tmp_path: Path) -> None:
    presets = "  presets: {smoke: {matrix: {cnn.arm: [joint, latent-only]}}}\n"
    path = write(tmp_path, MATRIX.replace("  compare:", presets + "  compare:"))
    says = "'labels-only' is none of the preset's values of cnn.arm: joint, latent-only"
    with pytest.raises(SettingsError, match=says):
        read_pipeline(path, preset="smoke")
    # Where --set decides the setting nothing is compared, so nothing is missing.
    assert read_pipeline(path, ["cnn.arm=joint"], "smoke").compare == ""


def test_shipped_pipelines_are_valid() -> None:
    folder = Path(__file__).resolve().parents[2] / "pipelines"
    files = sorted(folder.rglob("*.yaml"))
    assert files
    for path in files:
        pipeline = read_pipeline(path)
        assert pipeline.cells or all(part.cells for part in pipeline.experiments)
        assert path.read_text().startswith("#"), f"{path.name} must open with what it does and how long it takes"


BASE = """
pipeline:
  preset: small
  presets:
    smoke: {about: seconds, settings: {data.manifest: scenes}, matrix: {seed: [0]}}
    small: {about: minutes, settings: {data.manifest: coco_mix, cnn.input_size: 64}}
cnn: {latent_weight: 0.5, training: {epochs: 3}}
"""
CHILD = """
pipeline:
  extends: base.yaml
  matrix: {seed: [0, 1]}
  variants:
    plain: {}
    strong: {cnn.latent_weight: 2.0}
  compare: variant
  baseline: plain
  presets:
    smoke: {variants: [plain], settings: {cnn.training.epochs: 1}}
cnn: {training: {batch_size: 32}}
"""


def family(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return write(tmp_path, CHILD)


def test_a_file_extends_another_and_presets_merge(tmp_path: Path) -> None:
    small = read_pipeline(family(tmp_path))
    assert (small.preset, small.preset_about) == ("small", "minutes")
    assert [cell.values for cell in small.cells] == [
        {"seed": seed, "variant": variant} for seed in (0, 1) for variant in ("plain", "strong")
    ]
    assert [cell.settings.cnn.latent_weight for cell in small.cells] == [0.5, 2.0, 0.5, 2.0]
    own = small.cells[0].settings
    assert (own.data.manifest, own.cnn.input_size, own.cnn.training.epochs, own.cnn.training.batch_size) == (
        "coco_mix", 64, 3, 32,
    )  # fmt: skip
    smoke = read_pipeline(tmp_path / "arms.yaml", preset="smoke")
    assert [cell.label for cell in smoke.cells] == ["0.plain"]
    assert smoke.cells[0].settings.cnn.training.epochs == 1
    assert smoke.cells[0].settings.data.manifest == "scenes"


def test_experiments_are_read_with_one_preset(tmp_path: Path) -> None:
    family(tmp_path)
    whole = tmp_path / "paper.yaml"
    whole.write_text("pipeline: {experiments: [arms.yaml], preset: smoke, title: All}\n")
    pipeline = read_pipeline(whole)
    assert not pipeline.cells
    assert [(part.name, part.preset, len(part.cells)) for part in pipeline.experiments] == [("arms", "smoke", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CHILD.replace("[plain]", "[plan]"), "presets.smoke.variants: 'plan' is no variant; known: plain, strong"),
        (CHILD.replace("strong: {cnn.latent_weight: 2.0}", "strong: {cnn.latent_wait: 2}"), "cnn.latent_wait=2: .*did"),
        (CHILD.replace("base.yaml", "none.yaml"), "none.yaml: no such file"),
        (CHILD.replace("batch_size: 32", "batch_size: 0"), r"arms.yaml:\d+:\d+: cnn.training.batch_size"),
        ("pipeline: {experiments: [arms.yaml]}\nseed: 1\n", "has no settings, matrix or variants of its own"),
        ("pipeline: {experiments: [base.yaml, base.yaml]}\n", "two are named 'base'"),
        (
            CHILD.replace("[plain]", "[strong]"),
            "the baseline 'plain' is none of the preset's values of variant: strong",
        ),
        (
            CHILD.replace("plain: {}", "plain: {cnn.latent_weight: 2.0}\n  ").replace(
                "  compare", "  shows: [effects]\n  compare"
            ),
            "the runs '0.plain' and '0.strong' have the same settings",
        ),
        (
            CHILD.replace("plain: {}", "plain: {cnn.training.epochs: 2}").replace(
                "cnn.training.epochs: 1", "cnn.training.epochs: 1"
            ),
            "every variant sets cnn.training.epochs, so what the preset says of it is never used",
        ),
        ("pipeline: {preset: big}\n", "there is no preset 'big'; presets of this file: none"),
    ],
)
def test_bad_families(tmp_path: Path, text: str, message: str) -> None:
    family(tmp_path)
    path = tmp_path / "arms.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_pipeline(path)
        read_pipeline(path, preset="smoke")


def test_weights_come_from_the_source_with_the_same_preset(tmp_path: Path) -> None:
    family(tmp_path)
    path = tmp_path / "transfer.yaml"
    path.write_text(
        "pipeline:\n  extends: base.yaml\n  source: arms.yaml\n"
        "  variants: {scratch: {}, frozen: {cnn.weights: source, cnn.transfer: frozen}}\n"
    )
    pipeline = read_pipeline(path, ["seed=5", "data.manifest=mine.yaml", " data={manifest: mine.yaml}"], "smoke")
    assert pipeline.source is not None
    # The network is the question's, the collection is not.
    assert [(each.settings.seed, each.settings.data.manifest) for each in pipeline.source.cells] == [(5, "scenes")]
    made = with_source(pipeline, tmp_path / "network")
    assert [cell.settings.cnn.weights for cell in made.cells] == ["", str(tmp_path / "network")]


@pytest.mark.parametrize("preset", ["smoke", "small", "full"])
def test_the_paper_has_three_presets(preset: str) -> None:
    paper = read_pipeline(Path(__file__).resolve().parents[2] / "pipelines" / "paper.yaml", preset=preset)
    assert all(part.cells and part.shows and part.about and part.preset_about for part in paper.experiments)
    arms = {str(cell.values.get("cnn.arm")) for cell in paper.experiments[0].cells}
    assert arms == {"joint", "labels-only"}
    # The manifest's splits decide whether queries alone can lose their background.
    apart = {"coco_mix-halves", "scenes-small-halves", "coco2017"}
    for part in paper.experiments:
        for cell in part.cells:
            assert cell.settings.data.background_splits == "all" or cell.settings.data.manifest in apart
            training = cell.settings.cnn.training
            assert training.schedule != "step" or training.step_epochs < training.epochs - training.warmup_epochs
