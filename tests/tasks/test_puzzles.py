"""The two puzzles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks.common import SPLITS, in_split
from parallelbench.tasks.puzzles import LatinSquare, Sudoku, solutions
from parallelbench.tasks.support import grid_lines, latin_squares, sudoku_grids

seeds = st.integers(-(2**40), 2**40)
puzzles = st.builds(LatinSquare) | st.builds(Sudoku, st.integers(1, 12))


def brute_force(grid: str) -> list[str]:
    """All fillings of a 4x4 Sudoku, by trying digit after digit."""
    if "0" not in grid:
        return [grid]
    cell = grid.index("0")
    row, column = divmod(cell, 4)
    peers = {
        grid[other]
        for other in range(16)
        if other // 4 == row or other % 4 == column or (other // 8 == row // 2 and other % 4 // 2 == column // 2)
    }
    tried = (grid[:cell] + digit + grid[cell + 1 :] for digit in "1234" if digit not in peers)
    return [full for attempt in tried for full in brute_force(attempt)]


@given(puzzles, seeds, st.integers(1, 8), st.integers(1, 8), st.sampled_from(SPLITS))
def test_samples_are_a_pure_function_with_the_prefix_property(task, seed, few, more, split):
    assert task.samples(seed, few + more, split)[:few] == task.samples(seed, few, split)


@settings(max_examples=15)
@given(puzzles, seeds)
def test_prompts_are_unique(task, seed):
    samples = task.samples(seed, 108)
    assert len({sample.messages[-1]["content"] for sample in samples}) == 108
    assert len({sample.id for sample in samples}) == 108


@given(puzzles, seeds, seeds)
def test_test_and_train_share_neither_symbols_nor_grids(task, seed, other):
    test = {task.group(sample.facts) for sample in task.samples(seed, 15, "test")}
    train = {task.group(sample.facts) for sample in task.samples(other, 15, "train")}
    assert test and train and not test & train


def test_the_splits_share_no_set_of_symbols_whatever_their_order():
    test, train = (
        {frozenset(sample.facts["symbols"]) for sample in LatinSquare().samples(seed, 800, split)}
        for seed, split in ((0, "test"), (1, "train"))
    )
    assert len(test) > 750 and not test & train


@given(puzzles, seeds)
def test_the_example_is_another_question_of_the_same_split(task, seed):
    for split in SPLITS:
        for sample in task.samples(seed, 4, split):
            asked, shown, question = (turn["content"] for turn in sample.messages)
            assert asked != question
            cells = set(shown.replace("\n", "").replace(",", ""))
            if task.kind == "latin_square":
                assert cells != set(sample.facts["symbols"])
            else:
                assert shown != sample.facts["solution"]


@given(seeds, st.integers(1, 12))
def test_a_sudoku_has_its_blanks_and_exactly_one_solution(seed, blanks):
    for sample in Sudoku(blanks).samples(seed, 4):
        grid = sample.facts["grid"]
        assert grid.count("0") == blanks
        assert [grid_lines(full) for full in brute_force(grid.replace("\n", ""))] == [sample.facts["solution"]]
        assert grid in sample.messages[-1]["content"]


@given(st.sampled_from(sudoku_grids()), st.sets(st.integers(0, 15), max_size=10))
def test_counting_solutions_agrees_with_brute_force(solution, blanks):
    grid = "".join("0" if cell in blanks else digit for cell, digit in enumerate(solution))
    assert solutions(solution, blanks) == len(brute_force(grid))


def test_there_are_576_latin_squares_and_288_sudoku_grids():
    assert len(set(latin_squares())) == len(latin_squares()) == 576
    assert len(set(sudoku_grids())) == 288
    assert sorted(brute_force("0" * 16)) == sorted(sudoku_grids())
    digits = set("1234")
    for square in latin_squares():
        rows = [square[start : start + 4] for start in (0, 4, 8, 12)]
        assert all(set(line) == digits for line in (*rows, *zip(*rows, strict=True)))


def test_a_latin_square_asks_with_four_different_symbols():
    for sample in LatinSquare().samples(0, 100):
        assert len(set(sample.facts["symbols"])) == 4
        assert ", ".join(sample.facts["symbols"]) in sample.messages[-1]["content"]


def test_names_and_counts():
    assert (Sudoku().name, Sudoku(4).name, Sudoku(6).name) == (
        "puzzle/sudoku",
        "puzzle/sudoku",
        "puzzle/sudoku@blanks=6",
    )
    assert (Sudoku().default_count, LatinSquare().default_count) == (108, 100)
    assert len(Sudoku().samples(0, 108)) == 108


def test_a_used_up_split_is_refused_with_its_size():
    grids = sum(in_split(grid_lines(grid), "train") for grid in sudoku_grids())
    assert 108 <= grids <= 180
    with pytest.raises(UsageError, match=f"train split has only {16 * grids} different samples"):
        Sudoku(1).samples(0, 3000, "train")


@pytest.mark.parametrize("blanks", [0, 13, -1, "x", 2.5])
def test_impossible_numbers_of_blanks_are_refused(blanks):
    with pytest.raises(UsageError, match=r"puzzle/sudoku: blanks=.* Allowed: 1, 2, .*, 12"):
        Sudoku(blanks)
