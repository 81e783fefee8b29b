"""What happens to files: bytes changed, bits flipped, pieces cut out, zeroed and cut off."""

import numpy as np


def flip_bytes(content: bytearray, random: np.random.Generator) -> None:
    """Change some bytes anywhere, half of the time in the header."""
    reach = min(2000, len(content)) if random.random() < 0.5 else len(content)
    for place in random.integers(0, reach, random.integers(1, 9)):
        content[place] = random.integers(0, 256)


def flip_one_bit(content: bytearray, random: np.random.Generator) -> None:
    place = int(random.integers(0, 2500))
    content[place % len(content)] ^= 1 << int(random.integers(0, 8))


def truncate(content: bytearray, random: np.random.Generator) -> None:
    del content[int(random.integers(0, len(content))) :]


def cut_a_piece_out(content: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(0, len(content) - 1))
    del content[start : start + int(random.integers(1, 64))]


def zero_a_stretch(content: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(0, len(content) - 1))
    end = min(start + int(random.integers(1, 512)), len(content))
    content[start:end] = bytes(end - start)


DAMAGES = [flip_bytes, flip_one_bit, truncate, cut_a_piece_out, zero_a_stretch]
