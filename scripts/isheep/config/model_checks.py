"""What can be said of an experiment's base models before any job: whether their folders hold them, whether they can be
spoken to, and whether they have room for what they will be asked for.

Only the Snakefile and `make check` use it. A model that has yet to be fetched is looked at by the job that takes it
over.
"""

from pathlib import Path

from isheep.config.matrix import Matrix
from isheep.config.schema import ModelSettings
from isheep.data.room import Asked, require_room
from isheep.engine.base_models import require_base_model, require_chat_template
from isheep.fetch.hub_cache import HUB_CACHE, fetched_commit, folder_name, snapshot_of
from isheep.files.records import InputError
from isheep.seeding import derive_seed


def check_base_models(matrix: Matrix, file: str) -> None:
    """Raise InputError for the first model that takes part or judges and cannot. file: the one to write in."""
    config, asked, chatting = matrix.config, asked_of_models(matrix), matrix.chatting_models()
    for name in dict.fromkeys([*config.experiment.models, *matrix.judging_models()]):
        folder = folder_of_base(config.models[name])
        if folder is None or not folder.exists():
            continue
        try:
            require_base_model(folder)
        except InputError as error:
            key = f"models.{name}.path" if config.models[name].path else f"models.{name}"
            raise InputError(f"{key}: {error}") from None
        if name in chatting and config.models[name].chat_template is None:
            require_chat_template(folder, name, file)
        if name in asked:
            require_room(folder, name, asked[name], file)


def folder_of_base(model: ModelSettings) -> Path | None:
    """Return the folder that holds a base model before any job; None where it has yet to be fetched or built."""
    if model.source == "hub":
        fetched = fetched_commit(Path(HUB_CACHE) / folder_name(model.repository, "model"))
        return snapshot_of(HUB_CACHE, model.repository, "model") if fetched else None
    return Path(model.path) if model.path else None


def asked_of_models(matrix: Matrix) -> dict[str, Asked]:
    """Return what each model that goes through any recipe is asked for in the loop."""
    config = matrix.config
    instructions, first_seed = config.instructions, config.experiment.seeds[0]
    asked = {}
    for model in dict.fromkeys(model for model, _ in matrix.trained()):
        recipes = [config.recipes[name] for name in matrix.recipes(model)]
        scoring = [recipe for recipe in recipes if recipe.selection.method == "scores"]
        prompts = {
            config.assessment.prompts[recipe.assessment][criterion]: None
            for recipe in scoring
            for criterion in recipe.selection.criteria
        }
        asked[model] = Asked(
            seed_tasks=instructions.seed_tasks,
            meta_prompt=instructions.meta_prompt,
            demonstrations=instructions.demonstrations,
            seed=derive_seed(first_seed, "instructions", "base", 0),
            prompts=instructions.prompts(matrix.shard_size(model, "base", 0))[1],
            separator=config.responses.separator,
            assessments=tuple(prompts),
            instructions=instructions.sampling.max_tokens,
            responses=config.responses.sampling.max_tokens,
            assessment=config.assessment.sampling.max_tokens,
            max_model_len=config.engine.max_model_len,
        )
    return asked
