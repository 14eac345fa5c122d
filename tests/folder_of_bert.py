"""A tiny BERT as plain transformers fine-tunes and saves one, with the texts that it learned; nothing of ours takes part."""

import csv
import json
import random

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="the folders are those of transformers")
tokenizers = pytest.importorskip("tokenizers")

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16}
LABELS = ("yes", "no")  # the data's classes in alphabetical order are the other way round


def rows(count, seed=0):
    """Texts of 3 to 18 words with one word that tells the label, wrongly in one of six."""
    draw = random.Random(seed)
    fill, told = ["the", "film", "is", "a", "story", "of", "two", "people"], {"yes": ["fine", "good"], "no": ["bad", "dull"]}
    found = []
    for k in range(count):
        label = ("no", "yes")[k % 2]
        words = [draw.choice(fill) for _ in range(draw.randint(2, 17))]
        words.insert(draw.randrange(3), draw.choice(told[label if draw.random() < 5 / 6 else ("yes", "no")[k % 2]]))
        found.append((" ".join(words), label))
    return found


def tokenizer(texts, types=False):
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = tokenizers.normalizers.BertNormalizer(), tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(texts, tokenizers.trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ["input_ids", *["token_type_ids"] * types, "attention_mask"]
    tokens = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=14, model_input_names=names, **tokens)


def config(tokens, layers, **more):
    return transformers.BertConfig(vocab_size=len(tokens), num_hidden_layers=layers, **SIZES, **more)


def fine_tuned(folder, train, steps=60):
    """Save a teacher whose labels have names."""
    tokens = tokenizer([text for text, _ in train])
    torch.manual_seed(0)
    named = {"id2label": dict(enumerate(LABELS)), "label2id": {name: k for k, name in enumerate(LABELS)}}
    model = transformers.BertForSequenceClassification(config(tokens, 4, **named)).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    given = tokens([text for text, _ in train], padding=True, truncation=True, return_tensors="pt")
    goal = torch.tensor([LABELS.index(label) for _, label in train])
    for _ in range(steps):
        model(**given, labels=goal).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return tokens


def write(place, name, every):
    """The same rows as .csv and .jsonl."""
    with (place / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *every])
    (place / f"{name}.jsonl").write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in every))


def plain(folder, texts):
    """What transformers alone answers, one text at a time: logits (n, C) and the label of each."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = torch.cat([model(**tokens(text, truncation=True, return_tensors="pt")).logits for text in texts])
    return logits, [model.config.id2label[k] for k in logits.argmax(1).tolist()]
