import type { UpdateRejection } from '../../temporal/client/update-rejection.js';
import { httpProblem, invalidRequest, type HttpProblem } from '../problems/http-problem.js';
import { kindOfFailureType } from '../problems/problem-kinds.js';

/** Maps the rejection of an update by a workflow to a problem: `AlreadyDecided` becomes 409 `already-decided`. */
export function rejectionProblem(
  { type, message }: Pick<UpdateRejection, 'type' | 'message'>,
  extensions: Record<string, unknown>,
): HttpProblem {
  if (type === 'InvalidInput') return invalidRequest([{ pointer: '', detail: message }]);
  return httpProblem(kindOfFailureType(type, 'conflict'), message, extensions);
}
