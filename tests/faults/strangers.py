"""Changes of a run folder as a stranger could make them: each is a function of the folder."""

import json
import struct

from nearfar.core import files

STATE = "checkpoint/state.safetensors"


def put(value, *path):
    """A change of ``config.json``: a value at a path of keys, those that lack made."""

    def change(folder, file="config.json"):
        stored = json.loads((folder / file).read_text())
        here = stored
        for key in path[:-1]:
            here = here[key] if isinstance(here, list) else here.setdefault(key, {})
        here[path[-1]] = value
        (folder / file).write_text(json.dumps(stored))

    return change


def knob(value, *path):
    return put(value, "config", *path)


def of_column(value, *path):
    return lambda folder: put(value, "columns", next(iter(json.loads((folder / "config.json").read_text())["columns"])),
                              *path)(folder)  # fmt: skip


def encoder(value, key):
    return knob(value, "model", "encoder_options", key)


def named(which, /, **options):
    return both(knob(which, "model", "encoder"), knob(options, "model", "encoder_options"))


def both(*changes):
    def change(folder):
        for c in changes:
            c(folder)

    return change


def tensors(of, file="model.safetensors"):
    """A change of the tensors of a file, whose checksum is right all the same."""

    def change(folder):
        held, metadata = files.load_tensors(folder / file)
        metadata.pop("checksum", None)
        files.save_tensors(folder / file, of(held) or held, metadata)

    return change


def first(of, file="model.safetensors", like=""):
    """Such a change of the first tensor of numbers whose name holds a word."""

    def change(held):
        name = next(k for k, t in held.items() if like in k and t.is_floating_point() and t.ndim)
        held[name] = of(held[name])

    return tensors(change, file)


def value(number):
    def of(t):
        t = t.clone()
        t.view(-1)[-1] = number
        return t

    return of


def raw(content, file="model.safetensors"):
    """A change to other bytes; of a header, those of a safetensors file with it."""

    def change(folder):
        header = content if isinstance(content, bytes) else json.dumps(content).encode()
        whole = header if isinstance(content, bytes) else struct.pack("<Q", len(header)) + header + bytes(16)
        (folder / file).write_bytes(whole)

    return change


def announced(offsets, shape=(2,), dtype="F32"):
    return {"data_offsets": offsets, "shape": shape, "dtype": dtype}


def instead(make, file="model.safetensors"):
    def change(folder):
        (folder / file).unlink()
        make(folder / file)

    return change


def sparse(folder):
    """A header of 100 MB, which takes no place on the disk."""
    with open(folder / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", 100_000_000))
        f.truncate(100_000_008)


BERT = {"model_type": "bert", "vocab_size": 65, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "max_position_embeddings": 40}  # fmt: skip


def bert(**changes):
    return named("transformers:someone/model", architecture=BERT | changes, pooling="mean", pretrained="someone/model")


def numbered(name, number):
    """A checkpoint in which one number of a tensor of whole numbers is another."""

    def change(held):
        held[name].view(-1)[0] = number

    return tensors(change, STATE)
