/** The signal of `orderSkeleton`, which reports that its parcel was picked up or delivered. */
export const PARCEL_MOVED = 'parcelMoved';
