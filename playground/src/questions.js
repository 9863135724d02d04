// Questions of docs/arguments.md that two networks of the collection answer: the second is opened, and compared with the first.
export const questions = [
  ["Do the hidden layers of VGG-16 pay?", "vgg16", "vgg16_gap"],
  ["What does a stride in the 3x3 layer change?", "resnet50_v1", "resnet50"],
  ["What do shortcuts add to a plain network?", "plain34", "resnet34"],
  ["What did grouping save in AlexNet?", "alexnet_ungrouped", "alexnet"],
  ["What does batch normalization add to VGG-16?", "vgg16", "vgg16_bn"],
  ["How was LeNet-5 different from what is called so?", "lenet5", "lenet5_modern"],
];
