export const wasmBase64 = '';
