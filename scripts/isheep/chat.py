"""The chat that every trained checkpoint sees, in training and afterwards."""


def chat_messages(question: str, system_prompt: str | None) -> list[dict[str, str]]:
    """Return the messages of a one-turn chat: the system text, if there is one, and the user's question."""
    system = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
    return [*system, {"role": "user", "content": question}]
