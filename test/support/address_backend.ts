// The cpu's backend as what it is below launches: a kernel table and memory with addresses.
import type { AddressBackend } from '../../src/device/address_backend.ts';
import { currentBackend } from '../../src/device/engine.ts';

export const addressBackend = (): AddressBackend => currentBackend() as AddressBackend;
