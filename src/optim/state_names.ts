// Names in saved states are PyTorch's snake_case (`snakeText` in python_text.ts), names in the library camelCase.
export const toCamel = (name: string): string =>
  name.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter: string) => letter.toUpperCase());
