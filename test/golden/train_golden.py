"""Writes train.golden.json: figures of classifiers by scikit-learn, class weights, and histogram events by PyTorch's SummaryWriter.

Run: python test/golden/train_golden.py   (made with PyTorch 2.13.0, scikit-learn 1.9.1, tensorboard 2.21.0)
"""

import base64
import json
import pathlib
import tempfile
import unittest.mock

import numpy as np
import torch
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight
from torch.utils.tensorboard import SummaryWriter


def classifier(name, classes, truth, found):
    labels = list(range(classes))
    scores = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1Score": metrics.f1_score}
    # scikit-learn's macro mean is over the labels that it is given; without a list, over those that occur.
    of = lambda score, average: score(truth, found, average=average, zero_division=0,
                                      **({"labels": labels} if average is None else {}))
    return {
        "name": name, "classes": classes, "truth": truth, "found": found,
        "matrix": metrics.confusion_matrix(truth, found, labels=labels).tolist(),
        "scores": {key: {"macro": of(score, "macro"), "micro": of(score, "micro"), "weighted": of(score, "weighted"),
                         "none": of(score, None).tolist()} for key, score in scores.items()},
    }


def classifiers():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 60)
    found = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 5, 60))
    return [
        classifier("five classes", 5, truth.tolist(), found.tolist()),
        classifier("two classes, one never found", 2, [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]),
        classifier("a class that nowhere occurs", 4, [0, 1, 1, 3, 3, 3], [0, 1, 3, 3, 3, 0]),
        classifier("all right", 3, [0, 1, 2], [0, 1, 2]),
    ]


def top_k():
    rng = np.random.default_rng(1)
    logits = rng.permutation(20 * 6).reshape(20, 6)
    truth = rng.integers(0, 6, 20)
    return {"logits": logits.tolist(), "truth": truth.tolist(),
            "shares": {k: metrics.top_k_accuracy_score(truth, logits, k=k, labels=range(6)) for k in (1, 2, 3, 5)}}


def weights():
    labels = [0, 0, 0, 1, 2, 2, 2, 2, 2, 1]
    return {"labels": labels, "classes": 3,
            "weights": compute_class_weight("balanced", classes=np.arange(3), y=labels).tolist()}


def histograms():
    """Of sums that are exact, so that they have one value in any order."""
    cases = {
        "both signs": [-2.0, -0.5, -0.25, 0.0, 0.0, 0.125, 1.0, 1.5, 3.0, 100.0],
        "zeros": [0.0, 0.0],
        "one": [0.75],
        "small and large": [2.0**-45, -(2.0**-45), 2.0**40, 0.0],
        "beyond the bins": [1e30, 1.0, -1e30],
    }
    with tempfile.TemporaryDirectory() as folder, unittest.mock.patch("time.time", return_value=1700000000.5):
        writer = SummaryWriter(folder)
        for step, (name, values) in enumerate(cases.items()):
            writer.add_histogram(name, np.array(values), step)
        writer.close()
        (path,) = pathlib.Path(folder).iterdir()
        data = path.read_bytes()
    records = []
    while data:
        length = int.from_bytes(data[:8], "little")
        records.append(data[: length + 16])
        data = data[length + 16 :]
    # The first record has the file's version.
    return [{"tag": tag, "values": values, "record": base64.b64encode(record).decode()}
            for (tag, values), record in zip(cases.items(), records[1:], strict=True)]


def valley(losses):
    """fastai, callback/schedule.py, 2.8: the index that `valley` gives."""
    n = len(losses)
    max_start, max_end = 0, 0
    lds = [1] * n
    for i in range(1, n):
        for j in range(0, i):
            if (losses[i] < losses[j]) and (lds[i] < lds[j] + 1):
                lds[i] = lds[j] + 1
            if lds[max_end] < lds[i]:
                max_end = i
                max_start = max_end - lds[max_end]
    sections = (max_end - max_start) / 3
    return max_start + int(sections) + int(sections / 2)


def valleys():
    rng = np.random.default_rng(2)
    x = np.arange(60)
    curves = [np.exp(-x / 20) + rng.normal(0, 0.02, 60), np.where(x < 40, 3 - x / 20, x / 10) + rng.normal(0, 0.1, 60),
              rng.normal(0, 1, 60), np.array([3.0, 2.0, 1.0])]
    return [{"values": curve.tolist(), "index": valley(curve.tolist())} for curve in curves]


document = {"valleys": valleys(), "classifiers": classifiers(), "topK": top_k(), "weights": weights(), "histograms": histograms()}
pathlib.Path(__file__).with_name("train.golden.json").write_text(json.dumps(document, indent=1) + "\n")
