"""Writes sequence.golden.json: attention, transformers and recurrent layers of PyTorch, for test/nn/sequence.test.ts.

Run: python test/golden/sequence_golden.py   (made with PyTorch 2.13.0)
Each layer begins after manual_seed(7) and is called after manual_seed(8), in float64 and float32. Arrays are base64 of
little-endian values.
"""

import base64
import json
import pathlib
import warnings

import torch
from torch import nn
from torch.nn.utils import rnn

warnings.filterwarnings("ignore", message="enable_nested_tensor")


def raw(tensor):
    return base64.b64encode(tensor.detach().contiguous().numpy().tobytes()).decode()


def rule(shape, seed, dtype):
    """The rule of sequence.test.ts."""
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((((i * 37 + seed * 97) % 101) / 17 - 3) * 0.5).reshape(shape).to(dtype)


PADDING = torch.tensor([[False, False, True, False], [True, False, False, False]])
CAUSAL = torch.ones(3, 3, dtype=torch.bool).triu(1)
ACROSS = torch.tensor([[False, True, False, False], [True, False, False, True], [False, False, False, False]])

def packed(layer, x, lengths, states=None, batch_first=False, **options):
    output, behind = layer(rnn.pack_padded_sequence(x, lengths, batch_first, **options), states)
    return rnn.pad_packed_sequence(output, batch_first, padding_value=-1.0, total_length=6)[0], behind


# name: (how the layer is made, shapes of the inputs, how it is called, the mode)
CASES = {
    "MultiheadAttention": (lambda d: nn.MultiheadAttention(6, 2, dtype=d), [(3, 2, 6), (4, 2, 6), (4, 2, 6)], lambda m, q, k, v: m(q, k, v)),
    "MultiheadAttention self": (lambda d: nn.MultiheadAttention(6, 3, batch_first=True, bias=False, dtype=d), [(2, 3, 6)],
                                lambda m, x: m(x, x, x, need_weights=False, attn_mask=CAUSAL, is_causal=True)),
    "MultiheadAttention memory": (lambda d: nn.MultiheadAttention(6, 2, batch_first=True, dtype=d), [(2, 3, 6), (2, 4, 6)],
                                  lambda m, q, k: m(q, k, k, key_padding_mask=PADDING, average_attn_weights=False)),
    "MultiheadAttention sizes": (lambda d: nn.MultiheadAttention(6, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True, dtype=d),
                                 [(3, 2, 6), (4, 2, 3), (4, 2, 5)], lambda m, q, k, v: m(q, k, v, key_padding_mask=PADDING, attn_mask=ACROSS)),
    "MultiheadAttention unbatched": (lambda d: nn.MultiheadAttention(6, 2, add_bias_kv=True, batch_first=True, dtype=d), [(3, 6), (4, 6), (4, 6)],
                                     lambda m, q, k, v: m(q, k, v, attn_mask=rule((2, 3, 4), 5, q.dtype), need_weights=False)),
    "MultiheadAttention dropout": (lambda d: nn.MultiheadAttention(6, 2, dropout=0.4, dtype=d), [(3, 2, 6)], lambda m, x: m(x, x, x)),
    "MultiheadAttention blind": (lambda d: nn.MultiheadAttention(6, 2, dtype=d), [(3, 2, 6)],
                                 lambda m, x: m(x, x, x, attn_mask=torch.tensor([[True] * 3, [False] * 3, [True, False, True]]), need_weights=False)),
    "TransformerEncoderLayer": (lambda d: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, dtype=d), [(3, 2, 6)], lambda m, x: m(x)),
    "TransformerEncoderLayer normFirst": (lambda d: nn.TransformerEncoderLayer(6, 2, 8, 0.3, "gelu", 1e-3, True, True, False, dtype=d), [(2, 3, 6)],
                                          lambda m, x: m(x, src_mask=CAUSAL, src_key_padding_mask=PADDING[:, 1:])),
    "TransformerEncoderLayer dropout": (lambda d: nn.TransformerEncoderLayer(6, 2, 8, 0.3, nn.Tanh(), dtype=d), [(3, 6)], lambda m, x: m(x)),
    "TransformerDecoderLayer": (lambda d: nn.TransformerDecoderLayer(6, 2, 8, dropout=0.0, dtype=d), [(3, 2, 6), (4, 2, 6)],
                                lambda m, x, y: m(x, y, tgt_mask=CAUSAL, memory_mask=ACROSS, memory_key_padding_mask=PADDING, tgt_is_causal=True)),
    "TransformerDecoderLayer normFirst": (lambda d: nn.TransformerDecoderLayer(6, 2, 8, 0.3, "gelu", batch_first=True, norm_first=True, dtype=d),
                                          [(2, 3, 6), (2, 4, 6)], lambda m, x, y: m(x, y, tgt_key_padding_mask=PADDING[:, 1:])),
    "TransformerEncoder": (lambda d: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.2, dtype=d), 2, nn.LayerNorm(6, dtype=d)), [(3, 2, 6)],
                           lambda m, x: m(x, mask=CAUSAL, is_causal=True)),
    "TransformerDecoder": (lambda d: nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, 8, 0.2, dtype=d), 2), [(3, 2, 6), (4, 2, 6)],
                           lambda m, x, y: m(x, y)),
    "Transformer": (lambda d: nn.Transformer(6, 2, 1, 2, 8, 0.2, dtype=d), [(4, 2, 6), (3, 2, 6)],
                    lambda m, x, y: m(x, y, tgt_mask=nn.Transformer.generate_square_subsequent_mask(3, dtype=x.dtype), src_key_padding_mask=PADDING)),
    "Transformer eval": (lambda d: nn.Transformer(6, 2, 1, 1, 8, batch_first=True, norm_first=True, dtype=d).eval(), [(2, 4, 6), (2, 3, 6)],
                         lambda m, x, y: m(x, y)),
    "LSTM": (lambda d: nn.LSTM(3, 5, dtype=d), [(4, 2, 3)], lambda m, x: m(x)),
    "LSTM deep": (lambda d: nn.LSTM(3, 5, 2, dropout=0.3, bidirectional=True, batch_first=True, dtype=d), [(2, 4, 3), (4, 2, 5), (4, 2, 5)],
                  lambda m, x, h, c: m(x, (h, c))),
    "LSTM projection": (lambda d: nn.LSTM(3, 5, 2, bias=False, proj_size=2, bidirectional=True, dtype=d), [(4, 2, 3), (4, 2, 2), (4, 2, 5)],
                        lambda m, x, h, c: m(x, (h, c))),
    "LSTM unbatched": (lambda d: nn.LSTM(3, 9, batch_first=True, dtype=d), [(1, 3), (1, 9), (1, 9)], lambda m, x, h, c: m(x, (h, c))),
    "GRU": (lambda d: nn.GRU(3, 5, dtype=d), [(4, 2, 3)], lambda m, x: m(x)),
    "GRU deep": (lambda d: nn.GRU(3, 17, 2, dropout=0.3, bidirectional=True, batch_first=True, dtype=d), [(2, 4, 3), (4, 2, 17)], lambda m, x, h: m(x, h)),
    "GRU unbatched": (lambda d: nn.GRU(3, 5, bias=False, dtype=d), [(4, 3), (1, 5)], lambda m, x, h: m(x, h)),
    "RNN": (lambda d: nn.RNN(3, 5, 2, dtype=d), [(4, 2, 3), (2, 2, 5)], lambda m, x, h: m(x, h)),
    "RNN relu": (lambda d: nn.RNN(3, 5, nonlinearity="relu", bidirectional=True, bias=False, dtype=d), [(4, 2, 3)], lambda m, x: m(x)[0]),
    "LSTM packed": (lambda d: nn.LSTM(3, 5, 2, dropout=0.3, bidirectional=True, batch_first=True, dtype=d), [(3, 5, 3)],
                    lambda m, x: packed(m, x, [2, 5, 2], batch_first=True, enforce_sorted=False)),
    "LSTM packed projection": (lambda d: nn.LSTM(3, 5, proj_size=2, bidirectional=True, dtype=d), [(5, 4, 3), (2, 4, 2), (2, 4, 5)],
                               lambda m, x, h, c: packed(m, x, [1, 4, 3, 4], (h, c), enforce_sorted=False)),
    "GRU packed": (lambda d: nn.GRU(3, 5, 2, bidirectional=True, dtype=d), [(4, 3, 3), (4, 3, 5)], lambda m, x, h: packed(m, x, [4, 3, 1], h)),
    "RNN packed": (lambda d: nn.RNN(3, 5, dtype=d), [(4, 2, 3)], lambda m, x: packed(m, x, [4, 4])),
    "LSTMCell": (lambda d: nn.LSTMCell(3, 5, dtype=d), [(2, 3), (2, 5), (2, 5)], lambda m, x, h, c: m(x, (h, c))),
    "GRUCell": (lambda d: nn.GRUCell(3, 5, bias=False, dtype=d), [(3,), (5,)], lambda m, x, h: m(x, h)),
    "RNNCell": (lambda d: nn.RNNCell(3, 5, nonlinearity="relu", dtype=d), [(2, 3), (2, 5)], lambda m, x, h: m(x, h)),
}


def tensors(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [] if result is None else [t for one in result for t in tensors(one)]


def run(make, shapes, call, dtype):
    torch.manual_seed(7)
    layer = make(dtype)
    state = {k: raw(v) for k, v in layer.state_dict().items()}
    inputs = [rule(shape, i, dtype).requires_grad_() for i, shape in enumerate(shapes)]
    torch.manual_seed(8)
    outputs = tensors(call(layer, *inputs))
    torch.autograd.backward(outputs, [rule(t.shape, i + 2, dtype) for i, t in enumerate(outputs)])
    return {
        "state": state,
        "outputs": [[list(t.shape), raw(t)] for t in outputs],
        "inputs": [[shape, raw(t.grad)] for shape, t in zip(shapes, inputs)],
        "gradients": {k: raw(p.grad) for k, p in layer.named_parameters()},
        "printed": str(layer),
    }


def main():
    found = {name: {str(d).removeprefix("torch."): run(*case, d) for d in (torch.float64, torch.float32)} for name, case in CASES.items()}
    target = pathlib.Path(__file__).parent / "sequence.golden.json"
    target.write_text(json.dumps(found, separators=(",", ":")) + "\n")


main()
