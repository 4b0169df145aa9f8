/**
 * Bytes in memory of their own, as a `Blob` takes them: `Uint8Array<ArrayBuffer>`, in the words of any version of
 * TypeScript.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['from']>;
