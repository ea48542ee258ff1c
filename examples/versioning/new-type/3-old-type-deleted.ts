export { parcelV2 } from './2-both-types.js';
