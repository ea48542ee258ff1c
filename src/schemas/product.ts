import { z } from 'zod';
import { money } from './money.js';
import { sku } from './text.js';

/** A product as the shop shows it. `available` counts the pieces that can still be sold. */
export const product = z.object({
  sku,
  name: z.string(),
  price: money,
  available: z.int().min(0),
});

export type Product = z.infer<typeof product>;
