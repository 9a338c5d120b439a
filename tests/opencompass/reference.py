"""What OpenCompass itself asks and how it scores, in an environment that has it: see envs/opencompass.txt.

    python reference.py CONFIGURATIONS < question > answer

CONFIGURATIONS: folder with opencompass/configs, as its package ships them since 0.3.0. The question, JSON: `folder`
with the data sets in the form that its loaders read, `subjects` of MMLU, `answers` to score by set, `programs` to take
from answers, `perplexities` of texts (a seed), `model`, a folder with weights, and `model_texts` whose perplexity it
shall find. The answer, JSON: see `main`.
"""

import contextlib
import importlib
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy
from mmengine.config import Config
from reference_numbers import perplexity

PACKAGE = Path(importlib.util.find_spec("opencompass").submodule_search_locations[0])


def without_contents(name: str) -> types.ModuleType:
    """A package of OpenCompass's whose modules can be imported one by one, without all that the others need."""
    module = types.ModuleType(f"opencompass.{name}")
    module.__path__ = [str(PACKAGE.joinpath(*name.split(".")))]
    sys.modules[module.__name__] = module
    return module


def load(name: str) -> types.ModuleType:
    return importlib.import_module(f"opencompass.{name}")


without_contents("datasets")
without_contents("models")
openicl = without_contents("openicl")
evaluators = without_contents("openicl.icl_evaluator")
retrievers = without_contents("openicl.icl_retriever")
without_contents("openicl.icl_inferencer")
openicl.BaseEvaluator = evaluators.BaseEvaluator = load("openicl.icl_evaluator.icl_base_evaluator").BaseEvaluator
openicl.DatasetReader = load("openicl.icl_dataset_reader").DatasetReader
retrievers.BaseRetriever = load("openicl.icl_retriever.icl_base_retriever").BaseRetriever
Zero = load("openicl.icl_retriever.icl_zero_retriever").ZeroRetriever
FixK = load("openicl.icl_retriever.icl_fix_k_retriever").FixKRetriever
parsers, templates = load("models.base"), load("openicl.icl_prompt_template")
likelihood = load("openicl.icl_inferencer.icl_ppl_inferencer")

CHATML = {
    "round": [
        {"role": "HUMAN", "begin": "<|im_start|>user\n", "end": "<|im_end|>\n"},
        {"role": "BOT", "begin": "<|im_start|>assistant\n", "end": "<|im_end|>\n", "generate": True},
    ]
}
"""The meta template of a chat model: config/chat_templates/chatml.jinja, as OpenCompass writes one."""

SETS = {
    "boolq": ("SuperGLUE_BoolQ/SuperGLUE_BoolQ_ppl_314797", "boolq", "BoolQDataset_V3", {"path": "boolq/val.jsonl"}),
    "piqa": ("piqa/piqa_ppl_0cfff2", "piqa", "piqaDataset_V3", {"path": "piqa"}),
    "social_iqa": ("siqa/siqa_ppl_e8d8c5", "siqa", "siqaDataset", {"path": "siqa"}),
    "gpqa_diamond": ("gpqa/gpqa_ppl_6bf57a", "gpqa", "GPQADataset", {"path": "gpqa", "name": "gpqa_diamond.csv"}),
    "hellaswag": ("hellaswag/hellaswag_ppl_a6e128", "hellaswag", "hellaswagDataset_V3", {"path": "hellaswag.jsonl"}),
    "winogrande": ("winogrande/winogrande_ppl_55a66e", "winogrande", "winograndeDataset", {"path": "winogrande"}),
    "arc_easy": ("ARC_e/ARC_e_ppl_2ef631", "arc", "ARCDataset", {"path": "ARC-Easy-Dev.jsonl"}),
    "arc_challenge": ("ARC_c/ARC_c_ppl_2ef631", "arc", "ARCDataset", {"path": "ARC-Challenge-Dev.jsonl"}),
    "openbookqa": ("obqa/obqa_ppl_6aac9e", "obqa", "OBQADataset_V2", {"path": "test_complete.jsonl"}),
    "commonsense_qa": (
        "commonsenseqa/commonsenseqa_ppl_e51e32",
        "commonsenseqa",
        "commonsenseqaDataset",
        {"path": "commonsenseqa"},
    ),
    "mmlu": ("mmlu/mmlu_ppl_ac766d", "mmlu", "MMLUDataset", {"path": "mmlu"}),
    "nq": ("nq/nq_gen_0356ec", "natural_question", "NaturalQuestionDataset", {"path": "nq"}),
    "triviaqa": ("triviaqa/triviaqa_gen_2121ce", "triviaqa", "TriviaQADataset", {"path": "triviaqa"}),
    "squad2": ("squad20/squad20_gen_1710bc", "squad20", "SQuAD20Dataset", {"path": "dev-v2.0.json"}),
    "humaneval": ("humaneval/humaneval_gen_8e312c", "humaneval", "HumanevalDataset", {"path": "humaneval.jsonl"}),
    "humaneval_plus": (
        "humaneval_plus/humaneval_plus_gen_8e312c",
        "humaneval",
        "HumanevalDataset",
        {"path": "humaneval_plus.jsonl"},
    ),
    "mbpp": ("mbpp/mbpp_gen_830460", "mbpp", "MBPPDataset", {"path": "mbpp.jsonl"}),
}
"""Set → configuration, module and class of its loader, what the loader is given."""

EVALUATORS = {
    "nq": ("natural_question", "NQEvaluator", "score"),
    "triviaqa": ("triviaqa", "TriviaQAEvaluator", "score"),
    "squad2": ("squad20", "SQuAD20Evaluator", "score"),
    "mbpp": ("mbpp", "MBPPEvaluator", "score"),
}


class Model:
    """Stands for a model: a text has a perplexity that follows from its letters."""

    def __init__(self, seed: str, meta_template: dict | None):
        self.seed, self.parser = seed, parsers.LMTemplateParser(meta_template)
        self.texts: list[str] = []

    def parse_template(self, prompt, mode: str):
        return self.parser.parse_template(prompt, mode)

    def get_token_len_from_template(self, prompt, mode: str):
        return 1

    def get_ppl_from_template(self, prompts: list):
        texts = [self.parse_template(prompt, "ppl") for prompt in prompts]
        self.texts += texts
        return numpy.array([perplexity(text, self.seed) for text in texts])


def configurations(folder: Path, name: str) -> list[dict]:
    """The data sets of a configuration that have the set's own name: MMLU's 57, of others one."""
    file, *_ = SETS[name]
    content = Config.fromfile(str(folder / f"opencompass/configs/datasets/{file}.py"), format_python_code=False)
    [found] = [value for key, value in content.to_dict().items() if key.endswith("_datasets")]
    return [entry for entry in found if not entry["abbr"].endswith("shot")]


def data_set(name: str, entry: dict, folder: Path):
    """The data set as the loader reads it from the test's files."""
    _, module, loader, given = SETS[name]
    given = {**given, **({"name": entry["name"]} if name == "mmlu" else {})}
    given["path"] = str(folder / given["path"])
    return getattr(load(f"datasets.{module}"), loader)(reader_cfg=entry["reader_cfg"], **given)


def parts(entry: dict, data) -> tuple:
    """The retriever and the templates of a configuration."""
    given = entry["infer_cfg"]
    made = {
        key: templates.PromptTemplate(**{name: value for name, value in given[key].items() if name != "type"})
        for key in ("ice_template", "prompt_template")
        if key in given
    }
    fixed = given["retriever"].get("fix_id_list")
    return (FixK(data, fixed) if fixed else Zero(data)), made


def asked_by_likelihood(retriever, made: dict, seed: str, meta_template: dict | None) -> dict:
    """The texts of each item, one a choice, and which is chosen."""
    model = Model(seed, meta_template)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(sys.stderr):
        inferencer = likelihood.PPLInferencer(model, output_json_filepath=place)
        chosen = inferencer.inference(retriever, **made)
    labels = retriever.get_labels(**made)
    count = len(chosen)
    texts = [[model.texts[label * count + item] for label in range(len(labels))] for item in range(count)]
    return {"texts": texts, "chosen": chosen}


def asked_to_generate(retriever, made: dict, meta_template: dict | None) -> dict:
    """The prompt of each item."""
    parser = parsers.LMTemplateParser(meta_template)
    examples = [retriever.generate_ice(ids, ice_template=made.get("ice_template")) for ids in retriever.retrieve()]
    prompts = [
        retriever.generate_prompt_for_generate_task(number, example, gen_field_replace_token="", **made)
        for number, example in enumerate(examples)
    ]
    return {"texts": [parser.parse_template(prompt, "gen") for prompt in prompts]}


def scored(name: str, references: list, answers: list[list[str]]) -> list[list[float]]:
    """The score of each of an item's answers."""
    module, evaluator, key = EVALUATORS[name]
    evaluate = getattr(load(f"datasets.{module}"), evaluator)()
    with contextlib.redirect_stdout(sys.stderr):
        return [
            [evaluate.score([answer], [reference])[key] / 100 for answer in of_item]
            for reference, of_item in zip(references, answers, strict=True)
        ]


def programs(name: str, answers: list[str]) -> list[str]:
    """What is taken from each answer as a program."""
    module = load(f"datasets.{SETS[name][1]}")
    if name == "mbpp":
        return [module.MBPPEvaluator()._process_answer(answer) for answer in answers]
    return [module.humaneval_postprocess_v2(answer) for answer in answers]


def perplexities(folder: str, texts: list[str]) -> list[float]:
    """The perplexity of texts, by OpenCompass's own model on transformers."""
    model = load("models.huggingface").HuggingFaceCausalLM(
        path=folder, tokenizer_path=folder, max_seq_len=2048, model_kwargs={"torch_dtype": "torch.float"}
    )
    return [float(value) for text in texts for value in model.get_ppl([text])]


def main(folder: Path, question: dict) -> dict:
    """By set, for a base model and a chat: `texts`, and `chosen` where choices are compared; `golds`, `scores` of the
    answers, `programs`; for MMLU by subject."""
    answer = {}
    for name in SETS:
        found = []
        for entry in configurations(folder, name):
            if name == "mmlu" and entry["name"] not in question["subjects"]:
                continue
            data = data_set(name, entry, Path(question["folder"]))
            retriever, made = parts(entry, data)
            golds = list(data.reader.dataset["test"][entry["reader_cfg"]["output_column"]])
            of_set = {"subject": entry.get("name"), "golds": golds}
            of_set["length"] = entry["infer_cfg"]["inferencer"].get("max_out_len")
            for kind, meta_template in (("base", None), ("chat", CHATML)):
                if "PPL" in str(entry["infer_cfg"]["inferencer"]["type"]):
                    of_set[kind] = asked_by_likelihood(retriever, made, question["perplexities"], meta_template)
                else:
                    of_set[kind] = asked_to_generate(retriever, made, meta_template)
            if name in EVALUATORS and name != "mbpp":
                of_set["scores"] = scored(name, golds, question["answers"][name])
            if name in ("humaneval", "humaneval_plus", "mbpp"):
                of_set["programs"] = programs(name, question["programs"])
            if name == "mbpp":
                of_set["scores"] = scored(name, golds, question["answers"][name])
            found.append(of_set)
        answer[name] = found
    answer["perplexities"] = perplexities(question["model"], question["model_texts"])
    return answer


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), json.load(sys.stdin)), sys.stdout)
