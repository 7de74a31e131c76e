"""The notebook: every cell is code, and all of it runs at a small size."""

import os
import pathlib

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'test'")
ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "notebooks/quickstart.ipynb"
# In place of the cell of settings: a small network, few steps and pictures, a window each.
SMALL = """
import jax

jax.config.update("jax_num_cpu_devices", 8)
WORK, ENCODER, STEPS, TRANSFER_STEPS = "runs", "tiny", 2, 2
MORE = (
    "--config.data.train_size=16 --config.data.eval_size=2 --config.data.cache_dir=runs/cache "
    "--config.train.batch_size=2 --config.train.eval_batch_size=2 "
    "--config.optimizer.warmup_steps=0 --config.model.decoder_channels='(4,4,8,8,8)'"
)
"""


@pytest.fixture
def notebook():
    return nbformat.read(FILE, as_version=4)


def test_it_is_valid_and_small(notebook):
    nbformat.validate(notebook)
    assert FILE.stat().st_size < 100_000
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells) == 1


def test_every_cell_compiles(notebook):
    transformer = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager()
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert len(codes) > 8
    for source in codes:
        compile(transformer.transform_cell(source), str(FILE), "exec")


@pytest.mark.skipif(
    os.environ.get("GEOSEG_JAX_SLOW_TESTS") != "1",
    reason="runs for minutes: GEOSEG_JAX_SLOW_TESTS=1",
)
def test_all_of_it_runs(notebook, tmp_path, monkeypatch):
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = SMALL
    run = client.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    try:
        run.execute()
    finally:  # what the commands said, where one has failed
        for cell in notebook.cells:
            print(*(o.text for o in cell.get("outputs", ()) if o.output_type == "stream"))
    shown = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type in ("execute_result", "display_data")
    ]
    texts = [o.data["text/plain"] for o in shown if "image/png" not in o.data]
    assert sum("image/png" in o.data for o in shown) == 3
    assert any("'abs_rel_constant'" in text for text in texts)
    assert any("'miou'" in text for text in texts)
    assert any(text.startswith("{2: (") for text in texts)
    assert texts[-1] == "(8, (8, 2, 32, 64))"
    nbformat.write(notebook, tmp_path / "run.ipynb")
    assert (tmp_path / "run.ipynb").stat().st_size < 2_000_000
