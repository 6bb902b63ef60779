"""教程的 CIFAR-10 对比学习，改正后的版本。  The tutorial's CIFAR-10 script, put right.

    python examples/cifar10_tutorial.py cifar10/ [epochs]

原脚本打印 "Test accuracy: 0.763"，但它的代码得不出这个数。  The original prints "Test accuracy: 0.763", which its
code cannot have produced: see docs/formulas.md.
"""

import sys

import torch

from nearfar.data.batches.sampler import Sampler
from nearfar.data.read import read
from nearfar.encoders.image.tutorial_cnn import build
from nearfar.evaluation.protocols import Features, knn, linear_probe
from nearfar.methods.parts.heads import mlp
from nearfar.modalities.image import image
from nearfar.objectives.info_nce import info_nce
from nearfar.training.distributed import World
from nearfar.training.positives import Positives
from nearfar.training.viewer import Viewer
from nearfar.transforms.recipes import named

SEED, BATCH, TEMPERATURE = 0, 256, 0.2
torch.manual_seed(SEED)

# 数据：解码一次，uint8 存放。  Data: decoded once, kept as uint8.
table = read(sys.argv[1])
column, train, test = table.first, table.splits["train"], table.splits["test"]
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10  # 原文写 100，只打印 10  the original codes 100 and prints 10

# 网络：两次池化后是 128·8·8，不是 128·4·4。  Network: after two poolings it is 128·8·8, not 128·4·4.
encoder = build(channels=3, size=32, out=128)
projector = mlp(128, 128, 64)
parameters = [*encoder.parameters(), *projector.parameters()]

# 正样本：同一张图的两个视图；不使用标签。  Positives: two views of one image; no labels are used.
positives = Positives(torch.arange(len(table)).numpy())
viewer = Viewer({column.name: column}, {column.name: named("simclr", 32, 3)}, 2, positives, SEED, "cpu", World())
sampler = Sampler(train, BATCH, SEED)
steps = epochs * sampler.steps_per_epoch
optimizer = torch.optim.AdamW(parameters, lr=1e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)

for epoch in range(epochs):
    for step in range(sampler.steps_per_epoch):
        batch = viewer.batch(sampler.batch(epoch, step), epoch, step)
        online = [projector(encoder(view.values)) for view in batch.views]
        # InfoNCE：一个正样本对其余全部，去掉自己。  InfoNCE: one positive against all others, itself left out.
        loss, _ = info_nce(online, batch.relation, temperature=TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f} (no learning: {torch.tensor(2.0 * BATCH - 1).log().item():.3f})")


# 测量：在训练行上拟合，测试行只看一次。  Measurement: fitted on training rows; test rows are looked at once.
@torch.no_grad()
def features(rows):
    encoder.eval()
    parts = [column.take(rows[i : i + 1000]) for i in range(0, len(rows), 1000)]
    x = torch.cat([encoder(image.neutral(values, geometry, column.spec)) for values, geometry in parts])
    return Features(x.numpy(), table.labels[rows], len(table.label_names))


fitted, scored = features(train), features(test)
print(f"linear probe {linear_probe.measure(fitted, scored)['accuracy']:.3f}")
print(f"kNN          {knn.measure(fitted, scored)['accuracy']:.3f}")
