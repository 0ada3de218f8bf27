"""The questions, in our own words. A change here is a new version of the tasks it touches."""

_LIST_FRAME = """\
This is the queue in front of a ticket window, listed from the front to the back:

{items}

%s

Reply with the resulting queue and nothing else, on one line, in the form ["First Last", "First Last"]."""

_COUNTING = "Positions are numbered from 0, the front of the queue."

_LIST_TASKS = {
    "copy": "Write the queue down once more, unchanged.",
    "reverse": "Turn the queue around: whoever is at the back moves to the front, and so on.",
    "sort": "Bring the queue into alphabetical order by last name, from A to Z.",
    "shuffle": "Line up the same people in another order, chosen at random. It must not be the one above.",
    "insert_index": '"{new}" joins and stands at position {position} of the new queue; all others keep '
    "their order. " + _COUNTING,
    "insert_random": '"{new}" joins at a place that you choose at random; all others keep their order.',
    "remove_index": "The person at position {position} goes home; all others keep their order. " + _COUNTING,
    "remove_random": "One person, whom you choose at random, goes home; all others keep their order.",
    "replace_index": 'The person at position {position} gives their place to "{new}"; all others stay. ' + _COUNTING,
    "replace_random": 'One person, whom you choose at random, gives their place to "{new}"; all others stay.',
}

LIST_PROMPTS = {operation: _LIST_FRAME % text for operation, text in _LIST_TASKS.items()}

LATIN_SQUARE = """\
Arrange the symbols {symbols} in a 4x4 square so that no row and no column contains a symbol twice.

Reply with the four rows and nothing else, one row a line, its symbols separated by commas without spaces."""

SUDOKU = """\
In this small Sudoku every row, every column and each 2x2 corner box must hold the digits 1, 2, 3 and 4 \
once. A 0 stands for an empty cell:

{grid}

Fill in the empty cells. Reply with the full grid and nothing else: four lines of four digits, without \
spaces or commas."""

SUMMARIZATION = """\
Tell in one or two sentences what this conversation comes to:

{dialogue}

Reply with your sentences and nothing else."""

PARAPHRASING = """\
Say this in different words, keeping its meaning:

{sentence}

Reply with your version and nothing else."""

WORDS_TO_SENTENCE = """\
Make up one sensible and grammatical sentence in which all of these words occur, in any order: {words}

Reply with the sentence and nothing else."""

WORD_TO_SENTENCE = """\
Make up one sensible and grammatical sentence in which this word occurs: {words}

Reply with the sentence and nothing else."""
