export { parcel } from './2-both-types.js';
