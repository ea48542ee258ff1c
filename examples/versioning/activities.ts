/** The activities do nothing, because the examples only show the order of the calls. */
export const activities = {
  pack: async (_parcelId: string): Promise<void> => {},
  insure: async (_parcelId: string): Promise<void> => {},
  ship: async (_parcelId: string): Promise<void> => {},
};

export type Activities = typeof activities;
