"""How OpenCompass asks (its LMTemplateParser, PPLInferencer and GenInferencer, at the commit that README.md names).

A base model reads the turns of a dialogue as lines of one text; a checkpoint with a chat template reads them as turns.
"""

from collections import Counter

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

SAID_BY_USER, SAID_BY_ASSISTANT = "user", "assistant"
LINE_END = {"content": "\n"}
"""What stands behind a worked example, on a line of its own, and once more behind the last."""


def lines_of(turns: list[dict]) -> str:
    """The text that a base model reads: each turn that says something on a line of its own, without who says it."""
    return "\n".join(turn["content"] for turn in turns if turn["content"])


def chat_text(chat, dialogues: list[list[dict]]) -> str:
    """The text of a chat, with a line's end behind each worked example, and one more behind the last of them.

    dialogues: the system's turns, the worked examples, and the last question with its answer. A template is taken to
    add each turn behind the ones before it.
    """
    turns, places = [], []
    for dialogue in dialogues:
        turns += dialogue
        places.append(len(chat(turns, add_generation_prompt=False, ends_turn=True)) if turns else 0)
    text = chat(turns, add_generation_prompt=False, ends_turn=True)
    ends = places[1:-1]
    for place in reversed(ends + ends[-1:]):
        text = f"{text[:place]}\n{text[place:]}"
    return text


def said(question: str, answer: str | None = None) -> list[dict]:
    """A user's turn, and the assistant's where there is one."""
    answered = [] if answer is None else [{"role": SAID_BY_ASSISTANT, "content": answer}]
    return [{"role": SAID_BY_USER, "content": question}, *answered]


def system_turn(instruction: str | None) -> list[dict]:
    """The turn that a checkpoint's system prompt is."""
    return [{"role": "system", "content": instruction}] if instruction else []


class Dialogue(ConfigurableTask):
    """Whole texts, one for each choice, of which the one with the highest mean log-likelihood is the answer.

    The mean is over all tokens of the text, the question's too. doc_to_choice: what the assistant answers.
    """

    def __init__(self, config: dict) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def shots(self, doc: dict, count: int) -> list[dict]:
        """The worked examples that are shown before a document."""
        return list(self.sampler.df)[:count] if count else []

    def fewshot_context(self, doc: dict, num_fewshot: int, system_instruction: str | None = None, **_) -> list[list]:
        """The dialogues before the last question: the system's turn, if there is one, and the worked examples;
        `construct_requests` makes the texts of them."""
        shots = self.shots(doc, num_fewshot)
        examples = [said(self.doc_to_text(shot), self.doc_to_choice(shot)[self.doc_to_target(shot)]) for shot in shots]
        return [system_turn(system_instruction), *examples]

    def construct_requests(self, doc: dict, ctx: list[list], **settings) -> list[Instance]:
        """One request for each choice, of the whole text."""
        chat, is_chat = settings.pop("chat_template"), settings.pop("apply_chat_template")
        return [
            Instance("mean_loglikelihood", doc=doc, arguments=(text,), idx=number, **settings)
            for number, text in enumerate(self.texts(doc, *ctx, chat=chat if is_chat else None))
        ]

    def texts(self, doc: dict, system: list[dict], *examples: list[dict], chat) -> list[str]:
        """The text of each choice. chat: makes a text of turns; None for a base model."""
        dialogues = [self.dialogue(doc, choice) for choice in self.doc_to_choice(doc)]
        if chat is None:
            shown = [turn for example in examples for turn in [*example, LINE_END]]
            shown += [LINE_END] if examples else []
            return [lines_of([*shown, *dialogue]) for dialogue in dialogues]
        return [chat_text(chat, [[*system], *examples, dialogue]) for dialogue in dialogues]

    def dialogue(self, doc: dict, choice: str) -> list[dict]:
        """The last question, and a choice as its answer."""
        return said(self.doc_to_text(doc), choice)

    def process_results(self, doc: dict, results: list[float]) -> dict:
        """Whether the most likely choice is the right one; of equal ones the first counts."""
        return {"acc": float(results.index(max(results)) == self.doc_to_target(doc))}


class Statement(Dialogue):
    """A choice is a whole statement, which the user says; the assistant's turn is empty."""

    def dialogue(self, doc: dict, choice: str) -> list[dict]:
        """The statement, without an answer."""
        return said(choice, "")


class Text(Dialogue):
    """A text without turns: also a checkpoint with a chat template reads it as it is."""

    def texts(self, doc: dict, system: list[dict], *examples: list[dict], chat) -> list[str]:
        """Description, worked examples and question, each behind the one before, and a choice."""
        shown = [f"{asked['content']}{given['content']}{self.config.fewshot_delimiter}" for asked, given in examples]
        head = [self.resolve_field(doc, self.config.description) or "", *shown, self.doc_to_text(doc)]
        return ["".join([*head, choice]) for choice in self.doc_to_choice(doc)]


class Subjects(Text):
    """A set of several subjects: worked examples are of the question's own, and subjects count alike.

    An item's value is its share: 0, or where it is right what makes the mean over the items that are asked the plain
    mean over their subjects.
    """

    def shots(self, doc: dict, count: int) -> list[dict]:
        """The first ones of the same subject."""
        return [shot for shot in self.sampler.df if shot["subject"] == doc["subject"]][:count]

    def build_all_requests(self, *, limit: int | None = None, samples: list[int] | None = None, **settings) -> None:
        """Count the subjects' items that are asked, and make the requests."""
        asked = self.doc_iterator(limit=limit, samples=samples)
        self.sizes = Counter(doc["subject"] for _, doc in asked)
        super().build_all_requests(limit=limit, samples=samples, **settings)

    def process_results(self, doc: dict, results: list[float]) -> dict:
        """The item's share in the plain mean over subjects."""
        share = self.sizes.total() / (len(self.sizes) * self.sizes[doc["subject"]])
        return {name: value * share for name, value in super().process_results(doc, results).items()}


class Generation(ConfigurableTask):
    """A text to go on with. gen_prefix: how a base model's answer begins, which a chat leaves out."""

    def __init__(self, config: dict) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def fewshot_context(
        self,
        doc: dict,
        num_fewshot: int,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        chat_template=None,
        gen_prefix: str | None = None,
        **_,
    ) -> str:
        """The question, and for a base model the beginning of its answer on the next line."""
        if apply_chat_template:
            return chat_template([*system_turn(system_instruction), *said(self.doc_to_text(doc))])
        return lines_of(said(self.doc_to_text(doc), gen_prefix))
