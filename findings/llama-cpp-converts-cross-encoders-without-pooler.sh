#!/usr/bin/env bash
# llama.cpp's converter, of the source of llama-cpp-python 0.3.36: of a cross-encoder that
# is a BertForSequenceClassification, as those trained on MS MARCO are, it leaves out the
# pooler, a dense layer with tanh between the first row and the classifier. The GGUF file
# is the same to the byte whatever the pooler is, while the scores of transformers 5.24.0
# change their order. The converter says nothing, and the file has a classifier that
# llama.cpp applies to the first row itself: other scores, in another order. GGUF has a
# name for the layer, `cls`, and RoBERTa's cross-encoders have it in their files.
#
# Seen with Python 3.11:
#
#   best texts by transformers: 7 5 2 0 4 6 1 3
#   of the same encoder and classifier, without the pooler: 1 0 4 3 7 5 6 2
#   with another pooler by transformers: 0 4 6 2 7 3 5 1
#   with another pooler the converter's file is the same
#   with another classifier the converter's file is another
#   the file's tensors outside the encoder: cls.output.bias cls.output.weight
#   of a RoBERTa: cls.bias cls.output.bias cls.output.weight cls.weight
#
# Exits with 1 if that is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check \
    torch==2.13.0 transformers==5.24.0 numpy pyyaml tqdm requests
env/bin/pip download -q --disable-pip-version-check --no-deps \
    --no-binary llama-cpp-python llama-cpp-python==0.3.36
tar xzf llama_cpp_python-0.3.36.tar.gz
mv llama_cpp_python-0.3.36/vendor/llama.cpp llama.cpp

cat >pooler.py <<'END'
import sys
from pathlib import Path

sys.path[:0] = ["llama.cpp", "llama.cpp/gguf-py"]

import convert_hf_to_gguf
import gguf
import numpy as np
import torch
import transformers
from conversion.base import TextModel
from conversion.bert import BertModel, RobertaModel

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 128}
LAYERS = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_labels": 1}
MORE = {"initializer_range": 0.2, "max_position_embeddings": 256}
TEXTS = [np.random.default_rng(i).integers(4, 96, 20).tolist() for i in range(8)]


def no_vocabulary(self):  # the model has none
    TextModel._set_vocab_none(self)
    self.gguf_writer.add_token_type_count(2)


BertModel.set_vocab = RobertaModel.set_vocab = no_vocabulary


def made(name):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZES, **LAYERS, **MORE)
    return getattr(transformers, f"{name}ForSequenceClassification")(config).eval()


def converted(model):
    model.save_pretrained("model")
    sys.argv = ["convert", "model", "--outtype", "f32", "--outfile", "model.gguf"]
    convert_hf_to_gguf.main()
    return Path("model.gguf").read_bytes()


def tensors():
    names = (tensor.name for tensor in gguf.GGUFReader("model.gguf").tensors)
    return " ".join(sorted(name for name in names if name.startswith(("cls", "pool"))))


def order(scores):
    return " ".join(map(str, np.argsort(-np.array(scores))))


def by_transformers(model):
    with torch.no_grad():
        return order([model(torch.tensor([text])).logits.item() for text in TEXTS])


def without_pooler(model):
    with torch.no_grad():
        rows = [model.bert(torch.tensor([t])).last_hidden_state[:, 0] for t in TEXTS]
        return order([model.classifier(row).item() for row in rows])


def compared(file, model):
    return "the same" if converted(model) == file else "another"


model = made("Bert")
file = converted(model)
names = tensors()
print("best texts by transformers:", by_transformers(model))
print("of the same encoder and classifier, without the pooler:", without_pooler(model))
with torch.no_grad():
    model.bert.pooler.dense.weight.normal_(0, 0.2)
print("with another pooler by transformers:", by_transformers(model))
print("with another pooler the converter's file is", compared(file, model))
with torch.no_grad():
    model.classifier.weight.normal_(0, 0.2)
print("with another classifier the converter's file is", compared(file, model))
print("the file's tensors outside the encoder:", names)
converted(made("Roberta"))
print("of a RoBERTa:", tensors())
END
HF_HUB_OFFLINE=1 env/bin/python pooler.py 2>log | sed '/^$/d' | tee found.txt || { cat log; exit 1; }

cat >wanted.txt <<'END'
best texts by transformers: 7 5 2 0 4 6 1 3
of the same encoder and classifier, without the pooler: 1 0 4 3 7 5 6 2
with another pooler by transformers: 0 4 6 2 7 3 5 1
with another pooler the converter's file is the same
with another classifier the converter's file is another
the file's tensors outside the encoder: cls.output.bias cls.output.weight
of a RoBERTa: cls.bias cls.output.bias cls.output.weight cls.weight
END
cmp -s wanted.txt found.txt || {
    echo "the converter behaves differently now" >&2
    exit 1
}
