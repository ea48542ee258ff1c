import { ApplicationFailure } from '@temporalio/common';

/** @throws ApplicationFailure `OutOfStock` */
export function assertInStock(stock: number): void {
  if (stock < 1) throw ApplicationFailure.nonRetryable('nothing is left', 'OutOfStock');
}
