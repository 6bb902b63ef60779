"""A new method, objective, kind of positives, encoder, modality, reader and protocol is one new file each; no list is edited."""

import textwrap

import numpy as np
import pytest

FILES = {
    "methods/mine.py": """
        from nearfar.record import Method, Mlp, Twin
        RECORD = Method(name="mine", idea="an idea", projector=Mlp(8, 8), twin=Twin(), objective="pull")
        def compare(e, record):
            from nearfar.registry import OBJECTIVES
            pull = OBJECTIVES.get("pull").pull
            return pull([e.online[i] for i, _ in e.pairs], [e.target[j] for _, j in e.pairs])
    """,
    "objectives/pull.py": """
        import torch
        from nearfar.objectives.info import Objective
        INFO = Objective("pull", "|a-b|", "none", "none", "two sides", ("rows",))
        def pull(a, b):
            return sum((x - y).square().mean() for x, y in zip(a, b)), {}
    """,
    "positives/halves.py": """
        import numpy as np
        from nearfar.positives import Positives
        def build(context, argument): return Positives(np.arange(len(context.table)) % 2)
    """,
    "encoders/tinynet.py": """
        import torch
        MODALITIES = ("word",)
        SUMMARY = "a table of letters"
        class Net(torch.nn.Module):
            out_features = 8
            def __init__(self):
                super().__init__()
                self.table = torch.nn.EmbeddingBag(256, 8)
            def forward(self, x):
                return self.table(x)
        def build(**shape):
            return Net()
    """,
    "modalities/word.py": """
        import numpy as np
        from nearfar.modalities import BadCell
        NAME = "word"
        def recognise(cells): return 1.0 if all(isinstance(c, str) for c in cells) else 0.0
        def plan(cells, options): return {"length": 6}
        def decode(cell, spec):
            if not cell: raise BadCell("is empty")
            raw = cell.encode()[: spec["length"]]
            return np.frombuffer(raw.ljust(spec["length"]), np.uint8).copy(), None
        def views(values, geometry, recipe, draws, spec):
            keep = draws.bernoulli(0.8, spec["length"])
            return values.long().where(keep, 32)
        def neutral(values, geometry, spec): return values.long()
        def recipes(name, spec, overrides=None): return ((),)
        def default_recipe(spec): return "drop"
        def default_encoder(spec): return "tinynet"
        def encoder_shape(spec): return {}
        def raw_features(values, spec): return values.astype(np.float32)
        def thumbnail(values, geometry, spec):
            from PIL import Image
            return Image.new("RGB", (8, 8))
        def describe(spec): return "words"
    """,
    "readers/words.py": """
        from nearfar.data.raw import Raw
        def recognises(path): return path.suffix == ".words"
        def open(path):
            words = path.read_text().splitlines()
            return Raw({"word": words, "label": [w[0] for w in words]}, [f"line {i}" for i in range(len(words))], label="label")
    """,
    "evaluation/first_letter.py": """
        TITLE = "a protocol"
        def measure(train, test, *, seed=0):
            return {"accuracy": 1.0, "rows": len(test.y)}
    """,
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    for name, text in FILES.items():
        file = tmp_path / "plugins" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    monkeypatch.setenv("NEARFAR_PLUGINS", str(tmp_path / "plugins"))


def test_one_file_of_each_kind_works_together(plugins, tmp_path):
    import nearfar

    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdef"), 6)) for _ in range(80)]
    (tmp_path / "list.words").write_text("\n".join([*words, ""]))
    trained = nearfar.train(
        tmp_path / "list.words",
        method="mine",
        positives="halves",
        epochs=1,
        batch_size=16,
        out=tmp_path / "run",
        threads=1,
    )
    assert trained.plan.config.model.encoder == "tinynet"
    assert set(trained.plan.groups) == {0, 1}
    evaluation = nearfar.evaluate(trained.model, tmp_path / "list.words", protocols=["first_letter", "knn"])
    assert evaluation.results[0]["first_letter"]["accuracy"] == 1.0
    assert (tmp_path / "run" / "report.html").exists()
