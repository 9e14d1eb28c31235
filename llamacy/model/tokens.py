"""A model's calls about its vocabulary: text to tokens, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from llamacy.arguments import checked_flag, checks_options, short
from llamacy.chat.calls import Question
from llamacy.chat.formats import TemplateSource
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import PromptOptions
from llamacy.errors import ArgumentError
from llamacy.model.opened import Opened
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.lazy import LazyTokenizer


class Tokens(Opened):
    """The part of a `Model` that turns texts into tokens, and back."""

    _tokenizer: LazyTokenizer
    _template_source: TemplateSource

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's vocabulary, built when it is first needed.

        Raises
        ------
        FormatError
            The file has no vocabulary that can be used.
        """
        return self._tokenizer.get()

    @checks_options()
    def tokenize(
        self, text: str, *, add_bos: bool | None = None, parse_special: bool = False
    ) -> list[int]:
        """Turn text into token ids.

        Count the tokens of a prompt, cut it where you like, and give the ids to
        `generate` in place of the text.

        Parameters
        ----------
        text : str
            Any text.
        add_bos : bool, optional
            Whether to begin with the beginning-of-text token. By default the model's
            own rule decides, which is right for the beginning of a prompt; give False
            for a part from within.
        parse_special : bool, default False
            Whether names of control tokens in `text`, such as ``<|im_end|>``, become
            those tokens. It is off, because a user's text could otherwise end the
            user's message and go on as the system; turn it on for text that you wrote.

        Returns
        -------
        list of int
            Token ids.

        Raises
        ------
        ArgumentError
            `text` is not a str, or an option is neither True nor False.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> ids = model.tokenize("Once upon a time")
        >>> [model.tokenizer.piece(token) for token in ids]
        ['<s>', 'Once', '▁upon', '▁a', '▁time']
        >>> model.tokenize("</s>", parse_special=True)[-1] == model.tokenizer.eos_id
        True
        >>> model.tokenizer.eos_id in model.tokenize("</s>")
        False
        """
        tokenizer = self.engine.tokenizer
        if not isinstance(text, str):
            raise ArgumentError(f"text: wanted a str, found {short(text)}")
        if add_bos is not None:
            checked_flag("add_bos", add_bos)
        checked_flag("parse_special", parse_special)
        return tokenizer.get().encode(
            text, add_bos=add_bos, parse_special=parse_special
        )

    @checks_options()
    def detokenize(self, ids: Sequence[int]) -> str:
        """Turn token ids into text, leaving out control tokens.

        Text in the middle of a character, as between two tokens of an emoji, decodes to
        replacement characters; join the ids first. ``model.tokenizer.decode(ids,
        skip_special=False)`` shows control tokens.

        Parameters
        ----------
        ids : sequence of int
            Token ids.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ArgumentError
            An id outside the vocabulary.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.detokenize(model.tokenize("Once upon a time"))
        'Once upon a time'
        """
        engine = self.engine
        return engine.tokenizer.get().decode(engine.checked_ids("ids", ids))

    @checks_options(PromptOptions)
    def count_tokens(self, text: Messages, **options: Unpack[PromptOptions]) -> int:
        """Count the tokens of a text, or of the prompt that `chat` makes of messages.

        Parameters
        ----------
        text : str or list of dict
            A text, whose tokens are counted as `tokenize` makes them; or a
            conversation, with all that the chat template writes around the messages. It
            may be longer than the context.
        **options : PromptOptions
            `chat_format`, `tools`, `template_arguments` and so on, as for `chat`, for
            conversations.

        Returns
        -------
        int
            Number of tokens.

        Raises
        ------
        ChatTemplateError
            A conversation, and the model has no template.
        ArgumentError
            An invalid text, message or option.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.count_tokens("Once upon a time")
        5
        >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
        >>> model.count_tokens(messages) == len(model.chat_prompt(messages))
        True
        """
        if isinstance(text, str):
            if options:
                names = ", ".join(options)
                raise ArgumentError(f"{names}: wanted a list of messages, found a text")
            return len(self.tokenize(text))
        if not isinstance(text, Sequence) or isinstance(text, bytes):
            raise ArgumentError(
                f"text: wanted a text, or a list of dicts, found {short(text)}"
            )
        question = Question(text, None, options)
        return question.maker(self.engine, self._template_source).count(text)

    @checks_options()
    def split_text(self, text: str, max_tokens: int, *, overlap: int = 0) -> list[str]:
        """Split a text into chunks of at most `max_tokens` tokens.

        Cut a document that is longer than the context, to summarise it piece by piece
        or to search in it.

        Parameters
        ----------
        text : str
            Any text.
        max_tokens : int
            Most tokens of a chunk, without a beginning-of-text token.
        overlap : int, default 0
            Most tokens that a chunk repeats of the end of the one before, at most half
            of `max_tokens`.

        Returns
        -------
        list of str
            Chunks that end with a paragraph, or else a sentence, or a word, where the
            second half of a chunk has such an end. Without `overlap` they join to the
            text.

        Raises
        ------
        ArgumentError
            An invalid argument, or a character with more than `max_tokens` tokens.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> chunks = model.split_text("Once upon a time. The end. " * 20, 50)
        >>> len(chunks), chunks[-1][-9:]
        (4, 'The end. ')
        >>> max(model.count_tokens(chunk) for chunk in chunks) <= 51
        True
        """
        tokenizer = self.engine.tokenizer
        return tokenizer.get().split_text(text, max_tokens, overlap=overlap)
