"""CLINC150: its parts, and words hashed as MurmurHash3 is defined.

.venv/bin/python -m pytest -n 0 tests/test_clinc150.py
"""

import json

import numpy as np
import pytest

from counterpoise.methods.datasets import clinc150


def murmur3(word: str) -> int:
    """MurmurHash3 for 32 bits at seed 0, signed, from its definition."""
    word_bytes, full, h = word.encode(), 0xFFFFFFFF, 0

    def scrambled(k):
        k = k * 0xCC9E2D51 & full
        return (k << 15 | k >> 17) * 0x1B873593 & full

    whole = len(word_bytes) // 4 * 4
    for i in range(0, whole, 4):
        h ^= scrambled(int.from_bytes(word_bytes[i : i + 4], "little"))
        h = ((h << 13 | h >> 19) * 5 + 0xE6546B64) & full
    h ^= scrambled(int.from_bytes(word_bytes[whole:], "little")) if word_bytes[whole:] else 0
    h ^= len(word_bytes)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ h >> shift) * factor & full
    return h - 2**32 if h >= 2**31 else h


@pytest.mark.parametrize("text", ["book a flight to oslo", "Pay, PAY the bill; pay it!", "what is 2 + 2", "où est-ce?"])
def test_a_row_counts_words_by_their_hash_and_has_length_1(text):
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    expected = np.zeros(2048)
    for word in words:
        expected[abs(murmur3(word)) % 2048] += 1 if murmur3(word) >= 0 else -1
    row = clinc150.hashed([text])[0]
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row, (expected / np.sqrt(np.square(expected).sum())).astype(np.float32))


def test_hash_of_a_known_word():
    assert murmur3("hello") == 0x248BFA47  # published test value


def test_a_text_is_encoded_whatever_else_is_there_and_without_a_word_it_is_zero():
    texts = ["cancel my order", "", "?!", "cancel my order"]
    rows = clinc150.hashed(texts)
    np.testing.assert_array_equal(rows[0], clinc150.hashed(texts[:1])[0])
    np.testing.assert_array_equal(rows[0], rows[3])
    assert not rows[1:3].any()


def test_validation_joins_training_and_what_is_out_of_scope_stays_out(tmp_path):
    parts = {
        "oos_train": [["how old is the sun", "oos"]],
        "train": [["yes please", "yes"], ["ring at six", "alarm"]],
        "val": [["of course", "yes"]],
        "test": [["wake me", "alarm"]],
        "oos_val": [["who won", "oos"]],
        "oos_test": [["who lost", "oos"]],
    }
    (tmp_path / "data_full.json").write_text(json.dumps(parts))
    train_x, train_y, test_x, test_y = clinc150.Method().read(lambda name: tmp_path / name)
    names = clinc150.Method.classes
    assert [names[label] for label in train_y] == ["yes", "alarm", "yes"]
    assert [names[label] for label in test_y] == ["alarm"]
    np.testing.assert_array_equal(train_x, clinc150.hashed(["yes please", "ring at six", "of course"]))
    np.testing.assert_array_equal(test_x, clinc150.hashed(["wake me"]))


def test_there_are_150_intents_in_alphabetical_order():
    assert list(clinc150.Method.classes) == sorted(clinc150.Method.classes)
    assert len(clinc150.Method.classes) == 150
    assert "oos" not in clinc150.Method.classes
