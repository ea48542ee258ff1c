/** The activities do nothing, because the examples only need the order in which a workflow calls them. */
export const activities = {
  pack: async (_parcelId: string): Promise<void> => {},
  insure: async (_parcelId: string): Promise<void> => {},
  ship: async (_parcelId: string): Promise<void> => {},
};

export type Activities = typeof activities;
