"""Guessing the next tokens from the text itself, so that one step can read several (prompt lookup decoding).

A guess changes nothing but the time: every token is still drawn from the distribution at its own position,
and what was read along is kept only as long as the draws are those guessed. The idea of looking the guess up
in the text is that of prompt lookup decoding (Saxena, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 3
"""Tokens that must have occurred before in a row for a guess."""

LEAST_GAIN = 1.1
"""Expected tokens per time, against single steps, from which a guess is read."""

STREAKS = 4
"""How likely a guess is right is learned apart for 0, 1, 2 and more right ones before it."""

LEARNING_RATE = 0.1
FIRST_CHANCES = (0.2, 0.4, 0.6, 0.8)
FIRST_SLOPE = 0.25
LARGEST_SLOPE = 2.0


class Lookup:
    """Where each run of `GRAM` tokens was last seen."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._following: dict[tuple[int, ...], int] = {}
        self._start: int | None = None

    def extend(self, tokens: Sequence[int]) -> None:
        """The text goes on."""
        for token in tokens:
            self.tokens.append(token)
            count = len(self.tokens)
            if count >= GRAM:
                gram = tuple(self.tokens[count - GRAM :])
                self._start = self._following.get(gram)
                self._following[gram] = count

    def continuation(self, count: int) -> list[int]:
        """What followed the last tokens when they occurred before: `count` of them, or none."""
        if self._start is None:
            return []
        found = self.tokens[self._start : self._start + count]
        while len(found) < count:  # the earlier occurrence reaches into this one, so the text goes round
            found.append(found[len(found) - (len(self.tokens) - self._start)])
        return found


class Guesser:
    """Decides what to read along with a token. Every guess is checked, whether it was read or not."""

    def __init__(self, text: Sequence[int]) -> None:
        """`text` is what has been read."""
        self._lookup = Lookup()
        self._lookup.extend(text)
        self._expected: int | None = None
        self._streak = 0
        self._chances = list(FIRST_CHANCES)
        self._single: float | None = None
        self._slope = FIRST_SLOPE

    def guess(self, token: int, most: int) -> list[int]:
        """What may come after `token`, the next of the text: at most `most` tokens, none if none pay."""
        self._check(token)
        self._lookup.extend([token])
        found = self._lookup.continuation(max(1, most))
        self._expected = found[0] if found else None
        return found[: self._worthwhile(min(most, len(found)))]

    def learn(self, tokens: int, seconds: float) -> None:
        """A step that read `tokens` tokens took so long; the model of the cost follows."""
        if tokens == 1:
            self._single = seconds if self._single is None else 0.8 * self._single + 0.2 * seconds
            self._slope += 0.01 * (
                FIRST_SLOPE - self._slope
            )  # a slow step is not held against guessing for good
        elif self._single:
            slope = (seconds / self._single - 1) / (tokens - 1)
            self._slope += 0.2 * (min(max(slope, 0.0), LARGEST_SLOPE) - self._slope)

    def _check(self, token: int) -> None:
        if self._expected is None:
            self._streak = 0
            return
        right = token == self._expected
        place = min(self._streak, STREAKS - 1)
        self._chances[place] += LEARNING_RATE * (right - self._chances[place])
        self._streak = self._streak + 1 if right else 0

    def _worthwhile(self, most: int) -> int:
        """How many guessed tokens bring the most tokens per time; 0 if single steps do."""
        best, count = LEAST_GAIN, 0
        expected, chance = 1.0, 1.0
        for guessed in range(1, most + 1):
            chance *= self._chances[min(self._streak + guessed - 1, STREAKS - 1)]
            expected += chance
            gain = expected / (1 + self._slope * guessed)
            if gain > best:
                best, count = gain, guessed
        return count
