"""Sound programs that once failed: in the checker, in a printer, or in PyTorch."""

from __future__ import annotations

SOUND = {
    "a table with rows of one": "input 6x20\nconv3-3(from=[[0, 1], [2], [3]], pad=2, pad_mode=circular)",
    "an item that is a dot": "input 512x7x7\nadaptive_avgpool1\n. => 512x1x1",
    "merges within merges": "input 3x4x4\n" + "add<.|" * 150 + "." + ">" * 150,
    "groups within groups": "input 3x4x4\n" + "{" * 190 + "relu" + "}" * 190,
    "parentheses within parentheses": "input 3x4x4\nlet a = " + "(" * 150 + "1" + ")" * 150 + "\nrelu",
    "a long sum": "input 3x4x4\nlet a = " + "+".join(["1"] * 5000) + "\nrelu",
    "equal signs in bodies": "input 3x4x4\nblock f(w=3) {\n  let size = [in.h, in.w]\n  crop(size)\n}\nf(w=2)",
    "a field of a reference": "input 3x4x4\na: conv1-5\nconv1-{2*@a.c} => 10x4x4",
    "a block as activation": "input 3x4x4\nblock swish() { mul<. | sigmoid> }\nconv1-3(act=swish); conv1-3(act=swish())",
    "shared parts in blocks": "input 3x8x8\nblock twice() { share step { conv1-3 }; step; step }\ntwice(); twice()",
    "a kernel in braces": "input 3x8x8\nlet k = 1\nconv{k}x3-4",
    "a kernel in braces within a loop": "input 3x8x8\nfor k in [1] { part{k}: conv{k}-4 }",
    "a label behind a number": "input 3x4x4\nf: [ conv1-3; pool: maxpool1; relu ]",
    "a shared part with references": "share s { a: conv1-3; b: conv1-3; add<@a | .> }\ninput 3x4x4\nx: s\ny: s",
    "settings of a block that is a value": "input 3x8\nblock b(w) { conv1-{w} }\nlet c = b(4)\nc => 4x8\nblock u(f) { f }\nu(b(5)) => 5x8",
    "a training-only output in the middle": "input 3x8\nrelu\noutput o(when=training)\ntanh",
    "a claim about an alias": "input 3x8\nz: { relu; conv1-4; relu }\nq: @z.conv1\nexpect params(q) == 16",
    "numbers with a scale": "input 3x8\nlet a = 4.1G\nif a == 4_100_000_000 { conv1-4 } else { conv1-5 }\n. => 4x8",
    "an output within a loop": "input 3x4x4\nfor w in [4] { conv1-{w}; output mid }\noutput end: relu",
}
