// What timm calls the modules of the mobile networks, which it builds otherwise than torchvision: [here, there], for
// `loadWeights`, which so finds its weights by itself. Its ResNets and DenseNets have torchvision's names. Source:
// timm/models/_efficientnet_builder.py, _efficientnet_blocks.py.
import { Conv2d, type Module } from '../nn/index.ts';

export type Paths = [here: string, there: string][];

const convolutionsOf = (block: Module): [path: string, Conv2d][] =>
  block.namedModules().filter((entry): entry is [string, Conv2d] => entry[1] instanceof Conv2d);

/** A norm stands behind its convolution, under the next number. */
const normBehind = (path: string): string => path.replace(/\d+$/, (digits) => String(Number(digits) + 1));

/**
 * An inverted residual block: its convolutions in their order, with their norms, and those of squeeze and excitation,
 * which have none.
 */
function pathsOfBlock(block: Module, here: string, there: string): Paths {
  const convolutions = convolutionsOf(block);
  const expands = convolutions[0]?.[1].groups === 1;
  const names = expands ? ['conv_pw', 'conv_dw', 'conv_pwl'] : ['conv_dw', 'conv_pw'];
  let count = 0;
  return convolutions.flatMap(([path]): Paths => {
    const squeeze = /\.fc([12])$/.exec(path)?.[1];
    if (squeeze) return [[`${here}.${path}`, `${there}.se.${squeeze === '1' ? 'conv_reduce' : 'conv_expand'}`]];
    const name = names[count++];
    // A block of the user's own.
    if (name === undefined) return [];
    return [
      [`${here}.${path}`, `${there}.${name}`],
      [`${here}.${normBehind(path)}`, `${there}.bn${count}`],
    ];
  });
}

/** A convolution, its norm and its activation. */
export const pathsOfPair = (here: string, conv: string, norm: string): Paths => [
  [`${here}.0`, conv],
  [`${here}.1`, norm],
];

/** The blocks of the stages, each of which is an array of [path here, block]. */
export const pathsOfStages = (stages: readonly (readonly [string, Module][])[]): Paths =>
  stages.flatMap((stage, i) =>
    stage.flatMap(([path, block], position) => pathsOfBlock(block, path, `blocks.${i}.${position}`)),
  );

/**
 * Blocks that stand in one list, between the first and the last, in stages: those that follow each other with as many
 * output channels.
 */
export function stagesOf(features: Module): [string, Module][][] {
  const stages: [string, Module][][] = [];
  let before: number | undefined;
  for (const [name, block] of features.namedChildren().slice(1, -1)) {
    const channels = convolutionsOf(block).at(-1)?.[1].outChannels;
    if (channels !== before || stages.length === 0) stages.push([]);
    stages.at(-1)!.push([`features.${name}`, block]);
    before = channels;
  }
  return stages;
}
