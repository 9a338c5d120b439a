"""Whether a folder is a base model, and whether its tokenizer has a chat template, by which trained checkpoints are
spoken to. Nothing but the folder's small files is read, so that the workflow asks before its first job.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from isheep.files.records import InputError

CHAT_TEMPLATE = "chat_template.jinja"
"""The template's file in a model's folder."""
TOKENIZER_SETTINGS = "tokenizer_config.json"
"""Where older folders hold it, under the key `chat_template`."""
NEEDED = {
    "config.json": ("config.json",),
    TOKENIZER_SETTINGS: (TOKENIZER_SETTINGS,),
    "a tokenizer (tokenizer.json)": ("tokenizer.json", "tokenizer.model", "vocab.*", "*.tiktoken"),
    "weights (*.safetensors)": ("*.safetensors",),
}
"""What a base model's folder holds, and by which files."""
SETTINGS = ("config.json", TOKENIZER_SETTINGS, "generation_config.json", "special_tokens_map.json")
"""The folder's small files; the tokenizer's and the weights' own are read by those who count with them."""
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.gguf")
"""Weights in forms that are not read."""
OF_MARKER = {
    "<|im_end|>": "config/chat_templates/chatml.jinja",
    "<|eot_id|>": "config/chat_templates/llama3.jinja",
}
"""The template that closes a turn with a special token; a tokenizer that knows the token was made for it."""
WITHOUT_MARKER = "config/chat_templates/plain.jinja"
"""The template for any other tokenizer: it closes a turn with the token that ends a text."""


def require_base_model(folder: Path) -> None:
    """Raise InputError, naming all of it, for what a base model's folder must hold and this one lacks, or for settings
    that are no JSON."""
    missing = [what for what, names in NEEDED.items() if not _holds(folder, names)]
    if missing:
        others = _holds(folder, OTHER_WEIGHTS) and not _holds(folder, ("*.safetensors",))
        convert = "; convert its weights to safetensors" if others else ""
        raise InputError(
            f"{folder} lacks {', '.join(missing)}, and so is no folder of a base model{convert}; copy what is missing "
            "there, or name the folder that has it."
        )
    for name in SETTINGS:
        if (folder / name).is_file():
            _read(folder / name)


def require_chat_template(folder: Path, model: str, where: str) -> None:
    """Raise InputError, with the key to write and a template that fits, for a folder whose tokenizer has no template.

    folder: a base model's. model: its name in the configuration. where: the file to write in.
    """
    if _has_chat_template(folder):
        return
    template, reason = _fitting(folder)
    raise InputError(
        f"models.{model}: the tokenizer of {folder} has no chat template (neither {CHAT_TEMPLATE} nor the key "
        f"chat_template in {TOKENIZER_SETTINGS}), by which trained checkpoints are spoken to; write `chat_template: "
        f"{template}` below models.{model} in {where} ({reason}), or name a file of your own there."
    )


def billions_of_parameters(folder: Path) -> float:
    """Return how many parameters a folder's weights have, in billions, by what the heads of their files say.

    Raises InputError for a file whose head cannot be read.
    """
    return sum(_parameters(path) for path in folder.glob("*.safetensors")) / 1e9


def _holds(folder: Path, names: Iterable[str]) -> bool:
    return any(file.is_file() for name in names for file in folder.glob(name))


def _parameters(path: Path) -> int:
    try:
        with open(path, "rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return sum(math.prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, MemoryError, OverflowError):
        raise InputError(f"{path} is torn, or no file of weights; make or fetch it again.") from None


def _has_chat_template(folder: Path) -> bool:
    settings = folder / TOKENIZER_SETTINGS
    return (folder / CHAT_TEMPLATE).is_file() or (settings.is_file() and bool(_read(settings).get("chat_template")))


def _fitting(folder: Path) -> tuple[str, str]:
    """Return the template for a tokenizer, and why."""
    known = _special_tokens(folder)
    for marker, template in OF_MARKER.items():
        if marker in known:
            return template, f"its tokenizer knows {marker}"
    return WITHOUT_MARKER, f"its tokenizer knows none of {', '.join(OF_MARKER)}"


def _special_tokens(folder: Path) -> set[str]:
    found = set()
    for name in ("tokenizer.json", TOKENIZER_SETTINGS):
        path = folder / name
        content = _read(path) if path.is_file() else {}
        added = content.get("added_tokens") or list((content.get("added_tokens_decoder") or {}).values())
        found.update(token["content"] for token in added)
        for key in ("extra_special_tokens", "additional_special_tokens"):
            found.update(token for token in content.get(key) or () if isinstance(token, str))
    return found


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); restore the file.") from None
