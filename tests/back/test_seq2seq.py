"""A translator with attention against a plain module of its papers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archc import load
from archc.tests.support import ROOT


class Translator(nn.Module):
    """Bahdanau et al. 2015: a bidirectional encoder and a decoder that starts from it. Luong et al. 2015, equations 5 to 8, "general"."""

    def __init__(self, words: int, width: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"table": nn.Embedding(words, width), "gru": nn.GRU(width, hidden, batch_first=True, bidirectional=True)}
        )
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)
        self.start = nn.ModuleDict({"fc": nn.Linear(hidden, hidden)})
        self.decoder = nn.ModuleDict({"table": nn.Embedding(words, width), "gru": nn.GRU(width, hidden, batch_first=True)})
        self.attentional = nn.Linear(3 * hidden, hidden, bias=False)
        self.words = nn.Linear(hidden, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        states, ends = self.encoder["gru"](self.encoder["table"](source))
        written, _ = self.decoder["gru"](self.decoder["table"](target), torch.tanh(self.start["fc"](ends[1])).unsqueeze(0))
        keys = self.keys(states)
        weights = (written @ keys.transpose(1, 2) / keys.shape[2] ** 0.5).softmax(2)
        return self.words(torch.tanh(self.attentional(torch.cat([weights @ states, written], 2)))).transpose(1, 2)


def test_a_translator_is_that_of_its_papers() -> None:
    net = load(ROOT / "archs/seq2seq_attention.arch", words=50, width=12, hidden=16)
    module, peer = net.lower(), Translator(50, 12, 16)
    module.load_state_dict(peer.state_dict(), strict=True)
    source, target = torch.randint(50, (3, 32)), torch.randint(50, (3, 32))
    got, expected = module(source, target), peer(source, target)
    assert torch.allclose(got, expected, atol=1e-6)
    loss = [nn.functional.cross_entropy(result, target) for result in (got, expected)]
    for each in loss:
        each.backward()
    for key, parameter in peer.named_parameters():
        assert torch.allclose(module.get_parameter(key).grad, parameter.grad, atol=1e-6), key
